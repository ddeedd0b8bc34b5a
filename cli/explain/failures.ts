/**
 * What follows when something goes wrong with a forwarded request: whether it is tried again, after how long, and what is answered.
 * Asks the functions that decide it in a sidecar.
 */
import type { RetryConfig } from '../../proxy/config/retries.ts';
import type { ForwardConfig } from '../../proxy/config/snapshot.ts';
import type { FallbackConfig } from '../../proxy/config/retries.ts';
import type { Failure, FailureKind } from '../../proxy/exchange/failure.ts';
import { localAnswer } from '../../proxy/exchange/local-answer.ts';
import { callsForFallback } from '../../proxy/forwarding/fallback.ts';
import { decideRetry, retryDelayMs, type AttemptOutcome } from '../../proxy/forwarding/retry.ts';
import { isGrpc } from '../../proxy/http/grpc.ts';
import type { RequestHead } from '../../proxy/http/message.ts';

export interface RetryWait {
  /** From 1. */
  readonly retry: number;
  readonly fromMs: number;
  readonly toMs: number;
}

export interface FailureLine {
  readonly when: string;
  /** `yes`, or `no: ` and the reason. */
  readonly retried: string;
  /** Of the answer when it happens on the last try. */
  readonly status: number;
  /** Empty: the application's own answer goes down. */
  readonly reason: string;
  /** -1: no gRPC. */
  readonly grpcStatus: number;
  /** What answers in its place, where that may have the request; empty: nothing does. */
  readonly fallback: string;
}

/** The wait before each retry: anything between the two, by chance. */
export function retryWaits(policy: RetryConfig | null): readonly RetryWait[] {
  if (policy === null) return [];
  return Array.from({ length: policy.attempts }, (_, i) => ({
    retry: i + 1,
    fromMs: retryDelayMs(policy, i, 0, () => 0),
    toMs: retryDelayMs(policy, i, 0, () => 1),
  }));
}

const CASES: readonly (readonly [when: string, kind: FailureKind, sent: Failure['sent']])[] = [
  ['no endpoint is healthy', 'no-healthy-endpoint', 'nothing'],
  ['a limit of the circuit breaker is reached', 'overflow', 'nothing'],
  ['the connection fails', 'connect-failure', 'nothing'],
  ['mutual TLS fails', 'tls-failure', 'nothing'],
  ['the connection breaks after the request was sent', 'upstream-reset', 'head'],
];

export function failuresOf(action: ForwardConfig, head: RequestHead): readonly FailureLine[] {
  const cases = [...CASES];
  const { retry, timeoutMs, fallback } = action;
  const instead = (outcome: AttemptOutcome): string =>
    fallback === undefined || !callsForFallback(outcome) ? '' : nameOf(fallback);
  if ((retry?.perTryTimeoutMs ?? 0) > 0) cases.push(['a try takes too long', 'per-try-timeout', 'head']);
  if (timeoutMs > 0) cases.push(['the request takes too long', 'request-timeout', 'head']);
  const local = cases.map(([when, kind, sent]): FailureLine => {
    const failure: Failure = { kind, side: 'upstream', sent, detail: '' };
    const { head: answer } = localAnswer(failure, head);
    const outcome: AttemptOutcome = { kind: 'failure', failure };
    const retried = verdictOf(retry, head, outcome);
    const grpcStatus = Number(answer.headers.get('grpc-status') ?? -1);
    return { when, retried, status: answer.status, reason: kind, grpcStatus, fallback: instead(outcome) };
  });
  const answered = [500, 502, 503, 504, 429].map((status): FailureLine => {
    const facts = { status, grpcStatus: -1, retryAfterMs: 0, unsentReason: false, isFinal: false };
    const outcome: AttemptOutcome = { kind: 'response', ...facts };
    const retried = verdictOf(retry, head, outcome);
    const when = `the application answers ${status}`;
    return { when, retried, status, reason: '', grpcStatus: -1, fallback: instead(outcome) };
  });
  return [...local, ...answered];
}

function nameOf(fallback: FallbackConfig): string {
  return fallback.kind === 'cluster' ? fallback.cluster : `${fallback.status} of the policy`;
}

/** After the first try of a request whose body can be sent again. */
function verdictOf(policy: RetryConfig | null, { method, headers }: RequestHead, outcome: AttemptOutcome): string {
  const key = policy?.idempotencyKeyHeader ?? '';
  const request = { method, hasIdempotencyKey: key !== '' && headers.has(key), isGrpc: isGrpc(headers) };
  return decideRetry(policy, { ...request, replayable: true, isOuterRetry: false }, outcome, 1);
}
