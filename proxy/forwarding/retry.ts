/**
 * Whether a failed attempt is followed by another, and after how long.
 * Pure: knows no body, no timer and no budget; the caller asks the budget after a yes, and only while nothing was sent downstream.
 * Conditions mean what Envoy's `x-envoy-retry-on` says; on top of it, whatever may have reached an application is guarded by method.
 */
import { backoffMs } from '#base/backoff.ts';
import type { Random } from '#base/random.ts';
import type { GrpcRetryOn, RetryConfig, RetryOn } from '../config/retries.ts';
import type { Exchange } from '../exchange/exchange.ts';
import { FAILURES, type Failure, type FailureKind } from '../exchange/failure.ts';
import { GRPC } from '../http/grpc.ts';

/** `yes`, or the first reason against it, fit for the access log. */
export type RetryVerdict =
  | 'yes'
  | 'no: policy'
  | 'no: condition'
  | 'no: method'
  | 'no: body'
  | 'no: attempts'
  | 'no: retry-after'
  /** This is a retry of a hop before us: it is that one's to go on. */
  | 'no: outer retry'
  /** A hop after us tried again in vain, or asks not to be asked again. */
  | 'no: tried below';

export interface RetriedRequest {
  readonly method: string;
  readonly hasIdempotencyKey: boolean;
  /** All of the body that has come is kept, or none has come: another attempt can send the same bytes. */
  readonly replayable: boolean;
  readonly isGrpc: boolean;
  /** A hop before us tries it again already. */
  readonly isOuterRetry: boolean;
}

/** What was asked of an upgrade may have been done already, as little repeatable as the CONNECT that it becomes. */
export function retriedRequest(
  policy: Pick<RetryConfig, 'idempotencyKeyHeader'>,
  exchange: Exchange,
  replayable: boolean,
): RetriedRequest {
  const { request, isGrpc, outerAttempts } = exchange;
  const key = policy.idempotencyKeyHeader;
  const method = request.upgrade === '' ? request.method : 'CONNECT';
  return {
    method,
    hasIdempotencyKey: key !== '' && request.headers.has(key),
    replayable,
    isGrpc,
    isOuterRetry: outerAttempts > 1,
  };
}

export type AttemptOutcome =
  | { readonly kind: 'failure'; readonly failure: Failure }
  | {
      readonly kind: 'response';
      readonly status: number;
      /** Of a trailers-only answer to a gRPC call; -1: none. */
      readonly grpcStatus: number;
      /** From `retry-after`, in milliseconds; 0: not said. */
      readonly retryAfterMs: number;
      /** The peer's sidecar says, by `tulle-reason`, that the request did not reach its application. */
      readonly unsentReason: boolean;
      /** Who answers says that trying again is of no use. */
      readonly isFinal: boolean;
    };

/**
 * An upstream that asks for a longer pause is taken at its word: its answer goes down, for the client's own `retry-after` handling
 * is better than a request held that long (Envoy's `rate_limited_retry_back_off.max_interval`).
 */
export const MAX_RETRY_AFTER_MS = 5000;

/** RFC 9110 9.2.1. */
const SAFE_METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE']);
/** RFC 9110 9.2.2. */
const IDEMPOTENT_METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE']);

/**
 * @param policy null: the route has none, nothing is retried
 * @param attemptsMade attempts so far, the one that just ended included; at least 1
 */
export function decideRetry(
  policy: RetryConfig | null,
  request: RetriedRequest,
  outcome: AttemptOutcome,
  attemptsMade: number,
): RetryVerdict {
  if (policy === null || policy.attempts === 0) return 'no: policy';
  const verdict =
    outcome.kind === 'failure'
      ? judgeFailure(policy, request, outcome.failure)
      : judgeResponse(policy, request, outcome);
  if (verdict !== 'yes') return verdict;
  if (outcome.kind === 'response' && outcome.isFinal) return 'no: tried below';
  if (request.isOuterRetry && !neverArrived(outcome)) return 'no: outer retry';
  return attemptsMade > policy.attempts ? 'no: attempts' : 'yes';
}

/** A bad answer that nobody wants to try again stands, even while another try is under way; a failure is no answer. */
export function isAnswerable(verdict: RetryVerdict, outcome: AttemptOutcome): boolean {
  return outcome.kind === 'response' && verdict !== 'yes' && verdict !== 'no: attempts';
}

/** Whether a request may be under way twice: what may reach an application twice, and only once in a chain of hops. */
export function mayHedge(policy: RetryConfig, request: RetriedRequest): boolean {
  if (!request.replayable || request.isOuterRetry) return false;
  return mayRepeat(policy, request) || (request.isGrpc && policy.grpc !== undefined);
}

/** Of the verdict on the last try: it was tried again, by us or below, or only the budget stands against it. */
export function isInVain(verdict: RetryVerdict, attemptsMade: number): boolean {
  return attemptsMade > 1 || verdict === 'yes' || verdict === 'no: tried below';
}

/** It did not reach an application: it costs nobody anything to try again, however many hops do so. */
export function neverArrived(outcome: AttemptOutcome): boolean {
  if (outcome.kind === 'response') return outcome.unsentReason;
  return FAILURES[outcome.failure.kind].retry === 'unsent' || outcome.failure.sent === 'nothing';
}

/**
 * Delay before retry number `retry` (0: the first) in milliseconds: exponential with full jitter, and not before
 * the upstream's `retry-after` nor the policy's minimum.
 */
export function retryDelayMs(policy: RetryConfig, retry: number, retryAfterMs: number, random: Random): number {
  const delayMs = backoffMs({ baseMs: policy.backoffBaseMs, maxMs: policy.backoffMaxMs }, retry, random);
  return Math.max(policy.backoffMinMs ?? 0, Math.min(retryAfterMs, MAX_RETRY_AFTER_MS)) + delayMs;
}

function judgeFailure(policy: RetryConfig, request: RetriedRequest, failure: Failure): RetryVerdict {
  const retry = FAILURES[failure.kind].retry;
  if (retry === 'never') return 'no: condition';
  if (retry === 'unsent' || (retry === 'reset' && failure.sent === 'nothing')) {
    return judgeUnsent(policy, request, failure);
  }
  const safe = retry === 'reset' && policy.safeResets && SAFE_METHODS.has(request.method);
  // Every call is a POST: who names statuses of calls means that calls may be repeated.
  if (!safe && !onGrpcFailure(policy, request, failure)) {
    if (!onAnyReset(policy)) return 'no: condition';
    if (!mayRepeat(policy, request)) return 'no: method';
  }
  return bodyVerdict(request);
}

/** Nothing reached an application, so the method does not matter. */
function judgeUnsent(policy: RetryConfig, request: RetriedRequest, failure: Failure): RetryVerdict {
  const asked = policy.on.includes(unsentCondition(failure.kind)) || onAnyReset(policy);
  if (!asked && !onGrpcFailure(policy, request, failure)) return 'no: condition';
  return bodyVerdict(request);
}

/** A reset before the first byte counts as a connection that did not come about. */
function unsentCondition(kind: FailureKind): RetryOn {
  return kind === 'refused-stream' ? 'refused-stream' : 'connect-failure';
}

/** Envoy counts an attempt without an answer (disconnect, reset, timeout) as `reset`, `5xx` and `gateway-error`, for it would become a 503 or 504. */
function onAnyReset(policy: RetryConfig): boolean {
  return policy.on.includes('reset') || policy.on.includes('5xx') || policy.on.includes('gateway-error');
}

function judgeResponse(
  policy: RetryConfig,
  request: RetriedRequest,
  { status, grpcStatus, retryAfterMs, unsentReason: unsent }: Extract<AttemptOutcome, { kind: 'response' }>,
): RetryVerdict {
  const anyMethod = unsent && (policy.on.includes('connect-failure') || policy.on.includes('refused-stream'));
  if (!anyMethod && !onGrpcStatus(policy, grpcStatus)) {
    if (!onStatus(policy, status)) return 'no: condition';
    if (!unsent && !mayRepeat(policy, request)) return 'no: method';
  }
  if (!request.replayable) return 'no: body';
  return retryAfterMs > MAX_RETRY_AFTER_MS ? 'no: retry-after' : 'yes';
}

function onStatus(policy: RetryConfig, status: number): boolean {
  if (status >= 500 && status <= 599 && policy.on.includes('5xx')) return true;
  if (status >= 502 && status <= 504 && policy.on.includes('gateway-error')) return true;
  return policy.on.includes('retriable-status-codes') && policy.statuses.includes(status);
}

const GRPC_CODES: Readonly<Record<GrpcRetryOn, number>> = {
  cancelled: GRPC.cancelled,
  'deadline-exceeded': GRPC.deadlineExceeded,
  'resource-exhausted': GRPC.resourceExhausted,
  internal: GRPC.internal,
  unavailable: GRPC.unavailable,
};

function onGrpcStatus({ grpc }: RetryConfig, status: number): boolean {
  return grpc !== undefined && grpc.some((condition) => GRPC_CODES[condition] === status);
}

/** A failed attempt of a call counts as the status that its client would get: a connection that did not come about is UNAVAILABLE. */
function onGrpcFailure(policy: RetryConfig, { isGrpc }: RetriedRequest, { kind }: Failure): boolean {
  return isGrpc && onGrpcStatus(policy, FAILURES[kind].grpc);
}

export function mayRepeat(policy: Pick<RetryConfig, 'methods'>, request: RetriedRequest): boolean {
  if (request.hasIdempotencyKey) return true;
  if (policy.methods.length > 0) return policy.methods.includes(request.method);
  return IDEMPOTENT_METHODS.has(request.method);
}

/** What the attempt sent does not matter: bytes that are gone cannot come first in the next one. */
function bodyVerdict(request: RetriedRequest): RetryVerdict {
  return request.replayable ? 'yes' : 'no: body';
}
