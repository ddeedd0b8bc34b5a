/**
 * Policies in force, every field decided: what a route does with a request, and what a backend's connections do.
 * Knows nothing of which object set a field; the compiler reports that apart.
 */
export type RetryCondition =
  | 'connect-failure'
  | 'refused-stream'
  | 'reset'
  | 'gateway-error'
  | '5xx'
  | 'retriable-status';

export interface RetryPolicy {
  /** Retries after the first try. */
  readonly attempts: number;
  readonly retryOn: readonly RetryCondition[];
  readonly statuses: readonly number[];
  /** Empty: the idempotent methods of RFC 9110 9.2.2. */
  readonly methods: readonly string[];
  /** gRPC status names in lower case with dashes, as in `deadline-exceeded`. */
  readonly grpc: readonly string[];
  /** Lower-case; empty: none. */
  readonly idempotencyKeyHeader: string;
  /** A request with a safe method (RFC 9110 9.2.1) is tried again after a reset before any byte of the answer. */
  readonly safeResets: boolean;
  readonly backoffBaseMs: number;
  readonly backoffMaxMs: number;
  /** Every retry waits at least so long, jitter beside; 0: none. */
  readonly backoffMinMs: number;
  /** Another try beside one that was not answered for so long; null: none. */
  readonly hedge: { readonly afterMs: number; readonly max: number } | null;
}

export interface RoutePolicy {
  /** 0: none. */
  readonly requestTimeoutMs: number;
  /** 0: none. */
  readonly perTryTimeoutMs: number;
  /** 0: none. */
  readonly idleTimeoutMs: number;
  /** Null: nothing is retried. */
  readonly retry: RetryPolicy | null;
  /** Null: none. */
  readonly fault: FaultPolicy | null;
  /** What answers when the backends of the route cannot. Null: none. */
  readonly fallback: FallbackPolicy | null;
  /** Percent of the traces that begin with such a request which are sampled. Null: not decided here. */
  readonly sampling: number | null;
}

export type FallbackPolicy =
  /** A Service port that is there and may be asked. */
  | { readonly kind: 'backend'; readonly namespace: string; readonly service: string; readonly port: number }
  | {
      readonly kind: 'response';
      readonly status: number;
      readonly headers: readonly (readonly [name: string, value: string])[];
      readonly body: string;
    };

export interface FaultPolicy {
  readonly delay: { readonly percent: number; readonly durationMs: number } | null;
  readonly abort: { readonly percent: number; readonly status: number } | null;
  /** Only requests with all of them; empty: all requests. */
  readonly headers: readonly { readonly name: string; readonly value: string }[];
}

/** A token bucket. */
export interface RateLimitPolicy {
  readonly requests: number;
  readonly perMs: number;
  readonly burst: number;
  /** Empty: one for all. */
  readonly key: readonly (
    | { readonly kind: 'clientIdentity' | 'sourceAddress' }
    | { readonly kind: 'header' | 'pathTemplate'; readonly value: string }
  )[];
}

export type Balancer = 'peak-ewma' | 'least-request' | 'round-robin' | 'random' | 'ring-hash' | 'maglev';

/** What of a request goes to the same endpoint. */
export type HashKey =
  | { readonly kind: 'sourceAddress' }
  | { readonly kind: 'header' | 'cookie' | 'queryParam'; readonly name: string };

/** Endpoints that fail are left out for a while (Envoy `OutlierDetection`). */
export interface OutlierPolicy {
  /** 0: not judged by these. */
  readonly consecutiveErrors: number;
  /** 0: not judged by these. */
  readonly consecutiveGatewayErrors: number;
  /** Null: not judged by these. `below` in percent. */
  readonly successRate: { readonly below: number; readonly minRequests: number } | null;
  readonly intervalMs: number;
  readonly ejectionBaseMs: number;
  readonly ejectionMaxMs: number;
  /** So many endpoints stay; of several, one may always be ejected. */
  readonly keepEndpoints: number;
}

/** What each endpoint is asked from time to time (Envoy `HealthCheck`). */
export interface HealthCheckPolicy {
  readonly check:
    /** An empty host is that of the backend. */
    | { readonly kind: 'http'; readonly path: string; readonly host: string; readonly statuses: readonly number[] }
    | { readonly kind: 'grpc'; readonly service: string }
    | { readonly kind: 'tcp' };
  readonly intervalMs: number;
  readonly timeoutMs: number;
  readonly healthyThreshold: number;
  readonly unhealthyThreshold: number;
}

export interface BackendPolicy {
  readonly connectTimeoutMs: number;
  readonly limits: {
    readonly connections: number;
    readonly pendingRequests: number;
    readonly requests: number;
    /** 0: no limit. */
    readonly requestsPerConnection: number;
  };
  /** Null: nobody is ejected. */
  readonly outlier: OutlierPolicy | null;
  /** Null: nobody is asked. */
  readonly healthCheck: HealthCheckPolicy | null;
  readonly balancer: Balancer;
  /** The first that a request has counts; with `ring-hash` and `maglev` only. */
  readonly hashOn: readonly HashKey[];
  /** In which a new endpoint comes up to its share; 0: at once. Not with `random`, `ring-hash` and `maglev`. */
  readonly slowStartMs: number;
  /** Clients go to the endpoints of their own zone first. */
  readonly prefersZone: boolean;
  /** Kept where requests arrive. Null: none. */
  readonly rateLimit: RateLimitPolicy | null;
  /** For traces that begin where requests arrive, as in RoutePolicy. */
  readonly sampling: number | null;
  readonly retryBudget: { readonly percent: number; readonly minPerSecond: number; readonly intervalMs: number };
}

/** Only what provably did not reach the application, or may safely reach it twice. */
export const DEFAULT_RETRY_POLICY: RetryPolicy = {
  attempts: 2,
  retryOn: ['connect-failure', 'refused-stream'],
  statuses: [],
  methods: [],
  grpc: [],
  idempotencyKeyHeader: '',
  safeResets: true,
  backoffBaseMs: 25,
  backoffMaxMs: 250,
  backoffMinMs: 0,
  hedge: null,
};

export const DEFAULT_ROUTE_POLICY: RoutePolicy = {
  requestTimeoutMs: 0,
  perTryTimeoutMs: 0,
  idleTimeoutMs: 0,
  retry: DEFAULT_RETRY_POLICY,
  fault: null,
  fallback: null,
  sampling: null,
};

/** Envoy's figures. */
export const DEFAULT_OUTLIER_POLICY: OutlierPolicy = {
  consecutiveErrors: 5,
  consecutiveGatewayErrors: 0,
  successRate: null,
  intervalMs: 10_000,
  ejectionBaseMs: 30_000,
  ejectionMaxMs: 300_000,
  keepEndpoints: 1,
};

export const DEFAULT_BACKEND_POLICY: BackendPolicy = {
  connectTimeoutMs: 1000,
  limits: { connections: 1024, pendingRequests: 1024, requests: 1024, requestsPerConnection: 0 },
  outlier: null,
  healthCheck: null,
  balancer: 'peak-ewma',
  hashOn: [],
  slowStartMs: 0,
  prefersZone: false,
  rateLimit: null,
  sampling: null,
  retryBudget: { percent: 20, minPerSecond: 10, intervalMs: 10_000 },
};
