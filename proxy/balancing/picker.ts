/**
 * From a cluster's balancer setting and its endpoints to a picker. A picker is replaced, never changed.
 * The state that has to outlive it (latency, requests under way) stays with the endpoints. Knows no cluster.
 */
import type { BalancerConfig } from '../config/balancers.ts';
import type { BalancedEndpoint, Picker } from '../exchange/destination.ts';
import { byPriority, PriorityPicker } from './priorities.ts';
import { RandomPicker } from './live.ts';
import { MaglevPicker } from './maglev.ts';
import { RingHashPicker } from './ring-hash.ts';
import { RoundRobinPicker } from './round-robin.ts';
import { LeastRequestPicker, PeakEwmaPicker } from './two-choices.ts';

/** Linking costs O(endpoints), by hash O(ring or table); a pick is O(1) unless most endpoints are unavailable. */
export function linkPicker<E extends BalancedEndpoint>(config: BalancerConfig, endpoints: readonly E[]): Picker<E> {
  const levels = byPriority(endpoints);
  if (levels.length < 2) return linkLevel(config, endpoints);
  return new PriorityPicker(levels.map((level) => linkLevel(config, level)));
}

function linkLevel<E extends BalancedEndpoint>(config: BalancerConfig, endpoints: readonly E[]): Picker<E> {
  switch (config.kind) {
    case 'peak-ewma':
      return new PeakEwmaPicker(endpoints, config.slowStart);
    case 'least-request':
      return new LeastRequestPicker(endpoints, config.slowStart);
    case 'round-robin':
      return new RoundRobinPicker(endpoints, config.slowStart);
    case 'random':
      return new RandomPicker(endpoints);
    case 'ring-hash':
      return new RingHashPicker(endpoints, config);
    case 'maglev':
      return new MaglevPicker(endpoints, config.tableSize);
  }
}
