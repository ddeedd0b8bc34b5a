/**
 * From a cluster's balancer setting and its endpoints to a picker. A picker is replaced, never changed.
 * The state that has to outlive it (latency, requests under way) stays with the endpoints. Knows no cluster.
 */
import type { Random } from '#base/random.ts';
import type { BalancerConfig } from '../config/snapshot.ts';
import type { BalancedEndpoint, Picker } from '../exchange/destination.ts';
import { LivePicker, weightOf } from './live.ts';
import { RoundRobinPicker } from './round-robin.ts';
import { WeightedSampler } from './sampler.ts';
import { LeastRequestPicker, PeakEwmaPicker } from './two-choices.ts';

/** Linking costs O(endpoints); a pick is O(1) unless most endpoints are unavailable. */
export function linkPicker<E extends BalancedEndpoint>(config: BalancerConfig, endpoints: readonly E[]): Picker<E> {
  switch (config.kind) {
    case 'peak-ewma':
      return new PeakEwmaPicker(endpoints);
    case 'least-request':
      return new LeastRequestPicker(endpoints);
    case 'round-robin':
      return new RoundRobinPicker(endpoints);
    case 'random':
      return new RandomPicker(endpoints);
  }
}

class RandomPicker<E extends BalancedEndpoint> extends LivePicker<E> {
  readonly #sampler: WeightedSampler;

  constructor(endpoints: readonly E[]) {
    super(endpoints);
    this.#sampler = new WeightedSampler(this.live.map(weightOf));
  }

  pick(_nowMs: number, random: Random, tried: readonly E[]): E | null {
    if (this.live.length === 0) return null;
    // Drawing again keeps the weights; the scan, which does not, is for when most are out.
    for (let draws = 0; draws < 4; draws++) {
      const endpoint = this.live[this.#sampler.draw(random)]!;
      if (endpoint.available && !tried.includes(endpoint)) return endpoint;
    }
    return this.scan(random, tried);
  }
}
