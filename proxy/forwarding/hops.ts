/**
 * What sidecars along a chain of services tell each other in headers: the how many-th try this is, how much time is left, and that trying
 * again was in vain already. So that each level does not multiply the retries of the next, and nobody works for a client that gave up.
 * Knows no retry policy.
 *
 *   request   x-envoy-attempt-count            Envoy `include_request_attempt_count`; 2 and more: a retry of an outer hop
 *             x-envoy-expected-rq-timeout-ms   Envoy router; each hop passes on what is left
 *   answer    tulle-retried                    a hop below tried again and gave up; only between sidecars
 *             x-envoy-ratelimited              Envoy router: not to be tried again
 */
import type { ForwardConfig } from '../config/snapshot.ts';
import type { Exchange } from '../exchange/exchange.ts';
import { ATTEMPT_COUNT_HEADER, EXPECTED_TIMEOUT_HEADER } from '../filters/identity.ts';
import type { HeaderList } from '../http/headers.ts';
import type { ForwardContext } from './context.ts';
import { NEVER, type Deadlines } from './deadlines.ts';
import { passDeadline } from './grpc-call.ts';

type RetryMemory = Pick<ForwardContext, 'givenUp' | 'clock'>;

const RETRIED_HEADER = 'tulle-retried';
const RATE_LIMITED_HEADER = 'x-envoy-ratelimited';

/** A count of up to nine digits; 0 when it is absent or none. */
function countIn(headers: HeaderList, name: string): number {
  const value = headers.get(name);
  return value !== undefined && /^\d{1,9}$/.test(value) ? Number(value) : 0;
}

/** Takes down what the hop before says; what came from a stranger is gone already. */
export function readHop(exchange: Exchange): void {
  const { headers } = exchange.request;
  exchange.outerAttempts = countIn(headers, ATTEMPT_COUNT_HEADER);
  exchange.outerTimeoutMs = countIn(headers, EXPECTED_TIMEOUT_HEADER);
}

/**
 * Writes what is left of all times, and which try this is, into the head that goes out next.
 * @param tryMs clock milliseconds at which this try is over
 */
export function tellNextHop(
  exchange: Exchange,
  action: ForwardConfig | null,
  due: Deadlines,
  tryMs: number,
  nowMs: number,
): void {
  const { headers } = exchange.request;
  if (due.callMs !== NEVER) passDeadline(headers, due.callMs - nowMs);
  const answerMs = Math.min(due.requestMs, tryMs);
  if (answerMs !== NEVER) headers.set(EXPECTED_TIMEOUT_HEADER, String(Math.max(1, Math.floor(answerMs - nowMs))));
  // A retry stays one for all hops that come after.
  if (action?.countAttempts === true)
    headers.set(ATTEMPT_COUNT_HEADER, String(Math.max(exchange.attempts, exchange.outerAttempts)));
}

/** Whether who answers asks not to be tried again. The word is for us: it goes no further. */
export function saysRetried(headers: HeaderList): boolean {
  return headers.remove(RETRIED_HEADER);
}

export function saysRateLimited(headers: HeaderList): boolean {
  return headers.has(RATE_LIMITED_HEADER);
}

/** The application failed because of a call that was tried again already: its own caller is spared the whole tree once more. */
export function sayIfRetried(exchange: Exchange, headers: HeaderList, { givenUp, clock }: RetryMemory): void {
  const { peer, status, grpcStatus, traceId } = exchange;
  if (peer.direction === 'outbound' || (status < 500 && grpcStatus <= 0) || peer.identity === '') return;
  if (givenUp.has(traceId, clock.wall())) headers.set(RETRIED_HEADER, 'true');
}
