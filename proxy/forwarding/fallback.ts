/**
 * What else answers when a route's backend cannot: for which outcomes, for which requests, and the fixed answer.
 * Pure; knows no stream and no cluster.
 */
import type { FallbackConfig, RetryConfig } from '../config/retries.ts';
import type { Exchange } from '../exchange/exchange.ts';
import type { FailureKind } from '../exchange/failure.ts';
import { isEditable } from '../filters/headers.ts';
import { responseHead, type LocalAnswer } from '../exchange/local-answer.ts';
import { GRPC, grpcStatusOfHttp } from '../http/grpc.ts';
import { HeaderList } from '../http/headers.ts';
import { bodyOfLength } from '../http/message.ts';
import { mayRepeat, neverArrived, retriedRequest, type AttemptOutcome } from './retry.ts';

/** Tells the client that a fallback answered, and in the place of what. */
export const FALLBACK_HEADER = 'tulle-fallback';

/** Of the backend: not those of the client, of the route, and those made on purpose. */
const KINDS: ReadonlySet<FailureKind> = new Set<FailureKind>([
  'overflow',
  'no-healthy-endpoint',
  'connect-failure',
  'connect-timeout',
  'tls-failure',
  'refused-stream',
  'upstream-reset',
  'upstream-protocol-error',
  'response-headers-too-large',
  'per-try-timeout',
  'request-timeout',
  'idle-timeout',
]);

/** @param outcome after which nothing is tried again */
export function callsForFallback(outcome: AttemptOutcome): boolean {
  if (outcome.kind === 'failure') return KINDS.has(outcome.failure.kind);
  return (outcome.status >= 502 && outcome.status <= 504) || outcome.grpcStatus === GRPC.unavailable;
}

/** What guards a request that no policy speaks of. */
const NO_POLICY: Pick<RetryConfig, 'methods' | 'idempotencyKeyHeader' | 'grpc'> = {
  methods: [],
  idempotencyKeyHeader: '',
};

/**
 * Whether another backend may get the request: nothing of its body is gone, it did not reach an application or may be repeated, and there
 * is time left.
 */
export function mayMove(
  policy: RetryConfig | null,
  exchange: Exchange,
  { isReplayable }: { readonly isReplayable: boolean },
  outcome: AttemptOutcome,
): boolean {
  if (!isReplayable || (outcome.kind === 'failure' && outcome.failure.kind === 'request-timeout')) return false;
  const guard = policy ?? NO_POLICY;
  const request = retriedRequest(guard, exchange, isReplayable);
  return neverArrived(outcome) || mayRepeat(guard, request) || (request.isGrpc && guard.grpc !== undefined);
}

/** A gRPC call gets a trailers-only answer: `grpc-status` as configured, else what clients make of the status. */
export function fallbackAnswer(
  { status, headers, body: text }: Extract<FallbackConfig, { kind: 'response' }>,
  { isGrpc, fellBack }: Exchange,
): LocalAnswer {
  const list = new HeaderList(headers.filter(([name]) => isEditable(name)).flat());
  list.set(FALLBACK_HEADER, fellBack);
  const body = Buffer.from(isGrpc ? '' : text);
  const bodyKind = bodyOfLength(body.length);
  if (!isGrpc) {
    if (body.length > 0 && !list.has('content-type')) list.set('content-type', 'text/plain; charset=utf-8');
    return { head: responseHead(status, list, bodyKind), bodyKind, body };
  }
  list.set('content-type', 'application/grpc');
  if (!list.has('grpc-status'))
    list.set('grpc-status', String(status === 200 ? GRPC.unavailable : grpcStatusOfHttp(status)));
  return { head: responseHead(200, list, bodyKind), bodyKind, body };
}
