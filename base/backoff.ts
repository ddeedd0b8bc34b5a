/**
 * How long to wait before the next try: exponential, with full jitter, bounded.
 * Knows nothing of what is tried; holds no timer.
 */
import type { Random } from './random.ts';

export interface BackoffBounds {
  readonly baseMs: number;
  readonly maxMs: number;
}

/**
 * The delay before retry number `retry` (0: the first) in milliseconds, uniform in [0, min(max, base * (2^(retry+1) - 1)))
 * as Envoy waits between retries (router filter, x-envoy-retry-on).
 */
export function backoffMs(bounds: BackoffBounds, retry: number, random: Random): number {
  const ceiling = Math.min(bounds.maxMs, bounds.baseMs * (2 ** Math.min(retry + 1, 30) - 1));
  return random() * ceiling;
}

/** Like `backoffMs`, but never below half of the ceiling: for reconnects, where an immediate try helps nobody. */
export function reconnectMs(bounds: BackoffBounds, retry: number, random: Random): number {
  const ceiling = Math.min(bounds.maxMs, bounds.baseMs * 2 ** Math.min(retry, 30));
  return ceiling / 2 + (random() * ceiling) / 2;
}
