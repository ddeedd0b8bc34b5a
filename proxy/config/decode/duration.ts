/**
 * `google.protobuf.Duration` to milliseconds, within bounds.
 * Knows no field and no default.
 */
import type { Duration } from '#api/generated/google/protobuf/duration.ts';
import type { Problems } from '#base/problems.ts';

/** Longer ones are refused: about 24 days, what a timer of the platform can hold. */
export const MAX_DURATION_MS = 2_147_483_647;

/** Milliseconds, rounded up so that something above zero never becomes zero; `fallbackMs` when unset or refused. */
export function durationMs(
  duration: Duration | undefined,
  path: string,
  problems: Problems,
  fallbackMs: number,
  minMs = 0,
): number {
  if (duration === undefined) return fallbackMs;
  const { seconds, nanos } = duration;
  if (seconds < 0n || nanos < 0 || nanos > 999_999_999) {
    problems.add(path, 'is no valid duration', 'seconds must not be negative, nanos must be from 0 to 999999999');
    return fallbackMs;
  }
  const ms = Number(seconds) * 1000 + Math.ceil(nanos / 1_000_000);
  if (ms >= minMs && ms <= MAX_DURATION_MS) return ms;
  problems.add(path, 'is out of bounds', `from ${minMs} to ${MAX_DURATION_MS} milliseconds`);
  return fallbackMs;
}
