/**
 * What an exchange keeps for who asks later what happened to it (`tulle explain --request-id`).
 * Pure; knows nobody who asks.
 */
import type { EarlierTry, Exchange } from '../exchange/exchange.ts';
import type { UpstreamEndpoint } from '../exchange/upstream.ts';
import type { HeaderList } from '../http/headers.ts';
import type { Attempt } from './attempt.ts';
import type { AttemptOutcome } from './retry.ts';

/** Of a try that is given up for another. */
export function earlierTry({ endpoint, startMs }: Attempt, outcome: string, x: Exchange, nowMs: number): EarlierTry {
  return { endpoint, fromMs: startMs - x.startMs, untilMs: nowMs - x.startMs, outcome };
}

/** Of the last try before a fallback. */
export function triedInVain(x: Exchange, endpoint: UpstreamEndpoint, nowMs: number): EarlierTry {
  return { endpoint, fromMs: x.tryMs, untilMs: nowMs - x.startMs, outcome: x.fellBack };
}

/** A status or the kind of a failure. */
export function wordOf(outcome: AttemptOutcome): string {
  if (outcome.kind === 'failure') return outcome.failure.kind;
  return outcome.grpcStatus > 0 ? `grpc-status ${outcome.grpcStatus}` : String(outcome.status);
}

/** A failure that we answer ourselves says by which id it is known. */
export function nameRequest({ failure, requestId }: Exchange, headers: HeaderList): void {
  if (failure !== null && requestId !== '') headers.set('x-request-id', requestId);
}
