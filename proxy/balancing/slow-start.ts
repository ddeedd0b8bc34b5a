/**
 * Slow start (Envoy `SlowStartConfig`): a new endpoint takes only part of the requests that come to it, more and more of them while it warms up.
 * It counts beside the endpoint that has been there for the longest: when all are new, nobody is held back. Knows no policy.
 */
import type { Random } from '#base/random.ts';
import type { SlowStartConfig } from '../config/balancers.ts';
import type { BalancedEndpoint } from '../exchange/destination.ts';

export class SlowStart {
  readonly #config: SlowStartConfig;
  readonly #oldestMs: number;
  /** Nobody is new any more. */
  readonly #overMs: number;

  constructor(config: SlowStartConfig, endpoints: readonly BalancedEndpoint[]) {
    const since = endpoints.map(({ sinceMs }) => sinceMs);
    this.#config = config;
    this.#oldestMs = since.reduce((oldest, one) => Math.min(oldest, one), Infinity);
    this.#overMs = since.reduce((newest, one) => Math.max(newest, one), -Infinity) + config.windowMs;
  }

  /** Whether an endpoint takes the request that it was drawn for. */
  admits({ sinceMs }: BalancedEndpoint, nowMs: number, random: Random): boolean {
    if (nowMs >= this.#overMs || sinceMs === this.#oldestMs) return true;
    return random() * this.#factor(this.#oldestMs, nowMs) < this.#factor(sinceMs, nowMs);
  }

  #factor(sinceMs: number, nowMs: number): number {
    const { windowMs, aggression, minPercent } = this.#config;
    // Envoy counts from one second on.
    const ageMs = Math.max(nowMs - sinceMs, 1000);
    if (ageMs >= windowMs) return 1;
    return Math.max(minPercent / 100, (ageMs / windowMs) ** (1 / aggression));
  }
}
