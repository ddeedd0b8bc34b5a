/**
 * The part of a snapshot that says which endpoints of a cluster are left out: those that fail requests, and those that fail checks.
 * Plain data, like the rest of it.
 */

/** Which endpoints are left out for a while, and how long (Envoy `OutlierDetection`). */
export interface OutlierConfig {
  /** 0: not judged by these. */
  readonly consecutiveErrors: number;
  /** 0: not judged by these. */
  readonly consecutiveGatewayErrors: number;
  /** Null: not judged by these. `below` in percent. */
  readonly successRate: { readonly below: number; readonly minRequests: number } | null;
  readonly intervalMs: number;
  readonly ejectionBaseMs: number;
  readonly ejectionMaxMs: number;
  readonly keepEndpoints: number;
}

/** What each endpoint is asked from time to time (Envoy `HealthCheck`). */
export interface HealthCheckConfig {
  readonly check: CheckConfig;
  /** From the end of a check to the next one. */
  readonly intervalMs: number;
  readonly timeoutMs: number;
  /** Failures in a row that put an endpoint out. */
  readonly unhealthyThreshold: number;
  /** Successes in a row that bring it back. */
  readonly healthyThreshold: number;
}

export type CheckConfig =
  /** A GET; passes with a status from `start` up to but not `end` of one of the ranges. */
  | {
      readonly kind: 'http';
      readonly host: string;
      readonly path: string;
      readonly statuses: readonly { readonly start: number; readonly end: number }[];
    }
  /** grpc.health.v1; an empty service stands for the whole server. */
  | { readonly kind: 'grpc'; readonly authority: string; readonly service: string }
  /** A connection, with its TLS. */
  | { readonly kind: 'tcp' };
