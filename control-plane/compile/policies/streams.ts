/** What TrafficPolicy says of opaque connections: the idle timeout and the tries of the same fields as for requests. Knows no precedence. */
import { DEFAULT_STREAM_IDLE_MS, type StreamPolicy } from '../../model/stream-route.ts';
import { settleRetry } from './retries.ts';
import type { Settle } from './settle.ts';
import { IDLE_TIMEOUT } from './timeouts.ts';

export function streamPolicy(settle: Settle): StreamPolicy {
  const retry = settleRetry(settle, null);
  // Nothing was sent: of all conditions only this one can be met.
  const retries = retry?.retryOn.includes('connect-failure') === true ? retry.attempts : 0;
  return { idleTimeoutMs: settle(IDLE_TIMEOUT) ?? DEFAULT_STREAM_IDLE_MS, connectAttempts: retries + 1 };
}
