/**
 * What sidecars along a chain of services tell each other in headers: the how many-th try this is, how much time is left, and that trying
 * again was in vain already. So that each level does not multiply the retries of the next, and nobody works for a client that gave up.
 * Knows no policy and no timer.
 *
 *   request   x-envoy-attempt-count            Envoy `include_request_attempt_count`; 2 and more: a retry of an outer hop
 *             x-envoy-expected-rq-timeout-ms   Envoy router; each hop passes on what is left
 *   answer    tulle-retried                    a hop below tried again and gave up; only between sidecars
 *             x-envoy-ratelimited              Envoy router: not to be tried again
 */
import type { Exchange } from '../exchange/exchange.ts';
import { ATTEMPT_COUNT_HEADER, EXPECTED_TIMEOUT_HEADER } from '../filters/identity.ts';
import type { HeaderList } from '../http/headers.ts';

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

/** A retry stays one for all hops that come after. */
export function passAttempt({ request, attempts, outerAttempts }: Exchange): void {
  request.headers.set(ATTEMPT_COUNT_HEADER, String(Math.max(attempts, outerAttempts)));
}

export function passTimeout(headers: HeaderList, leftMs: number): void {
  headers.set(EXPECTED_TIMEOUT_HEADER, String(Math.max(1, Math.floor(leftMs))));
}

/** Whether who answers asks not to be tried again. The word is for us: it goes no further. */
export function saysRetried(headers: HeaderList): boolean {
  return headers.remove(RETRIED_HEADER);
}

export function saysRateLimited(headers: HeaderList): boolean {
  return headers.has(RATE_LIMITED_HEADER);
}

export function sayRetried(headers: HeaderList): void {
  headers.set(RETRIED_HEADER, 'true');
}
