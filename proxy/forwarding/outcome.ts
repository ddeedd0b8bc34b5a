/**
 * What an answer says about the attempt, beyond its status.
 * Pure; knows no policy.
 */
import { FAILURES, type Failure, type FailureKind } from '../exchange/failure.ts';
import { grpcStatusIn } from '../http/grpc.ts';
import type { HeaderList } from '../http/headers.ts';
import type { ResponseHead } from '../http/message.ts';
import { saysRateLimited, saysRetried } from './hops.ts';
import type { AttemptOutcome } from './retry.ts';

function isFailureKind(word: string): word is FailureKind {
  return Object.hasOwn(FAILURES, word);
}

/** The failure that the sidecar of a peer names as reason of its own answer; null: it is an answer of the application. */
export function peerFailure(reason: string | undefined): FailureKind | null {
  return reason !== undefined && isFailureKind(reason) ? reason : null;
}

/** The application behind a peer's sidecar did not see the request: any method may be tried again elsewhere. */
function isUnsent(kind: FailureKind | null): boolean {
  return kind !== null && (FAILURES[kind].retry === 'unsent' || kind === 'draining');
}

/** `Retry-After` in milliseconds, seconds form only (RFC 9110 10.2.3); 0 when absent or a date. */
function retryAfterMs(headers: HeaderList): number {
  const value = headers.get('retry-after');
  if (value === undefined || value.length > 6) return 0;
  const seconds = Number(value);
  return Number.isInteger(seconds) && seconds > 0 ? seconds * 1000 : 0;
}

/** The failure that the peer's sidecar told us of. */
export function peerSaid(kind: FailureKind): Failure {
  return { kind, side: 'upstream', sent: 'head', detail: 'answered by the sidecar of the peer' };
}

/**
 * A peer that lost its application half way is a reset to us; anything else is judged by its status. Null: nothing went wrong that the
 * head could tell of.
 */
export function outcomeOf(head: ResponseHead, kind: FailureKind | null, isGrpc: boolean): AttemptOutcome | null {
  const grpcStatus = isGrpc ? grpcStatusIn(head.headers) : -1;
  if (kind === null && head.status < 400 && grpcStatus <= 0) return null;
  if (kind !== null && FAILURES[kind].retry === 'reset') return { kind: 'failure', failure: peerSaid(kind) };
  return {
    kind: 'response',
    status: head.status,
    grpcStatus,
    retryAfterMs: retryAfterMs(head.headers),
    unsentReason: isUnsent(kind),
    isFinal: saysRetried(head.headers) || saysRateLimited(head.headers),
  };
}
