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
 * The delay before try number `retry` (0 for the first retry), in milliseconds:
 * uniform in [base, min(max, base * 2^retry * ...)] as Envoy's JitteredExponentialBackOffStrategy: random in [0, min(max, base*(2^(n+1)-1))).
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
