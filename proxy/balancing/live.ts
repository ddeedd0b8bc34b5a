/**
 * What all pickers share: the endpoints that may be picked at all, and the slow way out when the quick choice found nobody.
 * Knows no policy. The zone of an endpoint does not count here.
 */
import { randomInt, type Random } from '#base/random.ts';
import type { BalancedEndpoint, Picker } from '../exchange/destination.ts';

/** Weight of an endpoint; what is not said or zero counts as 1 (Envoy `LbEndpoint.load_balancing_weight`). */
export function weightOf(endpoint: BalancedEndpoint): number {
  return Math.max(1, endpoint.config.weight);
}

export abstract class LivePicker<E extends BalancedEndpoint> implements Picker<E> {
  readonly endpoints: readonly E[];
  /** Without those that the control plane says are unhealthy: they are not picked even if nobody else is there (panic threshold 0). */
  protected readonly live: readonly E[];

  constructor(endpoints: readonly E[]) {
    this.endpoints = endpoints;
    this.live = endpoints.filter((endpoint) => endpoint.config.healthy);
  }

  abstract pick(nowMs: number, random: Random, tried: readonly E[]): E | null;

  /**
   * Looks at every endpoint, from a random one on, so that the first in the list is not favoured.
   * An available one that was not tried, else an available one, else null.
   */
  protected scan(random: Random, tried: readonly E[]): E | null {
    const size = this.live.length;
    let again: E | null = null;
    for (let step = 0, index = randomInt(random, size); step < size; step++, index = (index + 1) % size) {
      const endpoint = this.live[index]!;
      if (!endpoint.available) continue;
      if (!tried.includes(endpoint)) return endpoint;
      again ??= endpoint;
    }
    return again;
  }
}
