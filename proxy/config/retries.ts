/** What is tried again, as configuration of a route. Plain data. */

export interface RetryConfig {
  readonly attempts: number;
  readonly on: readonly RetryOn[];
  readonly statuses: readonly number[];
  readonly perTryTimeoutMs: number;
  /** Empty: the idempotent methods of RFC 9110 9.2.2. Guards every condition but connect-failure and refused-stream. */
  readonly methods: readonly string[];
  /** Lower-case; empty: none. */
  readonly idempotencyKeyHeader: string;
  readonly safeResets: boolean;
  /** gRPC statuses that are tried again; absent: none. */
  readonly grpc?: readonly GrpcRetryOn[];
  readonly backoffBaseMs: number;
  readonly backoffMaxMs: number;
  /** Every retry waits at least so long, and the jitter beside; absent: none. */
  readonly backoffMinMs?: number;
}

export type RetryOn =
  | 'connect-failure'
  | 'refused-stream'
  | 'reset'
  | 'gateway-error'
  | '5xx'
  | 'retriable-status-codes';

/** Envoy's words (`x-envoy-retry-grpc-on`). */
export type GrpcRetryOn = 'cancelled' | 'deadline-exceeded' | 'internal' | 'resource-exhausted' | 'unavailable';
