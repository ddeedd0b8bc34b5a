/** What is tried again, and what answers when that was in vain, as configuration of a route. Plain data. */

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
  /** Tries beside a slow one; absent: none. */
  readonly hedge?: { readonly afterMs: number; readonly max: number };
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

/** What answers in the place of a route's backends: another cluster, or we ourselves. */
export type FallbackConfig =
  | { readonly kind: 'cluster'; readonly cluster: string }
  | {
      readonly kind: 'response';
      readonly status: number;
      /** Names in lower case. */
      readonly headers: readonly (readonly [name: string, value: string])[];
      readonly body: string;
    };
