/**
 * TrafficPolicy (tulle.dev/v1alpha1): how calls to a Service, a Service port or a route behave.
 * The schema is `crds/trafficpolicies.yaml`; a null here means "not given", so that precedence can be settled field by field.
 */
import type { FallbackPolicy } from '../model/policy.ts';
import { FALLBACK, LIMITS, OUTLIER } from './circuit-breaker-fields.ts';
import { ANYTHING, type ValueOf } from './field.ts';
import type { KubeObject } from './meta.ts';
import { type ParseContext, readObject, strictEnvelope } from './object.ts';
import { object, optional, required } from './structure.ts';
import { dnsSubdomain } from './text-forms.ts';
import { NO_TIMEOUTS, RETRIES, TARGET_REFS, TIMEOUTS } from './traffic-policy-fields.ts';
import { FAULT, RATE_LIMIT, TRACING } from './traffic-policy-requests.ts';
import { HEALTH_CHECK, healthCheckOf, type HealthCheckSpec } from './health-check-fields.ts';
import { LOAD_BALANCER, loadBalancerOf, type LoadBalancerSpec } from './traffic-policy-load-balancer.ts';

export interface PolicyTargetRef {
  readonly group: string;
  readonly kind: 'Service' | 'ExternalService' | 'HTTPRoute' | 'GRPCRoute';
  readonly name: string;
  /** A port name of the Service or ExternalService, or a rule name of the route; empty: all of it. */
  readonly sectionName: string;
}

export interface RetrySpec {
  readonly attempts: number | null;
  readonly retryOn: readonly string[] | null;
  readonly statuses: readonly number[] | null;
  readonly methods: readonly string[] | null;
  readonly grpc: readonly string[] | null;
  readonly idempotencyKeyHeader: string | null;
  readonly backoff: { readonly baseMs: number | null; readonly maxMs: number | null } | null;
  readonly budget: {
    readonly percent: number | null;
    readonly minPerSecond: number | null;
    readonly intervalMs: number | null;
  } | null;
  readonly hedge: { readonly afterMs: number; readonly max: number } | null;
}

export type RateLimitKey =
  | { readonly kind: 'clientIdentity' | 'sourceAddress' }
  | { readonly kind: 'header' | 'pathTemplate'; readonly value: string };

export interface RateLimitSpec {
  readonly requests: number;
  readonly perMs: number;
  /** As many as `requests` when not given. */
  readonly burst: number;
  /** Empty: all requests share one limit. */
  readonly key: readonly RateLimitKey[];
}

export interface FaultSpec {
  readonly delay: { readonly percent: number; readonly durationMs: number } | null;
  readonly abort: { readonly percent: number; readonly status: number } | null;
  /** Empty: all requests. Names in lower case. */
  readonly headers: readonly { readonly name: string; readonly value: string }[];
}

export interface LimitsSpec {
  readonly connections: number | null;
  readonly pendingRequests: number | null;
  readonly requests: number | null;
  readonly requestsPerConnection: number | null;
}

export interface OutlierSpec {
  readonly consecutiveErrors: number | null;
  readonly consecutiveGatewayErrors: number | null;
  readonly successRate: { readonly below: number; readonly minRequests: number } | null;
  readonly intervalMs: number | null;
  readonly ejectionBaseMs: number | null;
  readonly ejectionMaxMs: number | null;
  readonly keepEndpoints: number | null;
}

export interface TrafficPolicySpec {
  readonly targetRefs: readonly PolicyTargetRef[];
  readonly timeouts: {
    readonly requestMs: number | null;
    readonly perTryMs: number | null;
    readonly idleMs: number | null;
    readonly connectMs: number | null;
  };
  readonly retries: RetrySpec | null;
  readonly loadBalancer: LoadBalancerSpec | null;
  readonly rateLimit: RateLimitSpec | null;
  readonly fault: FaultSpec | null;
  readonly tracing: { readonly sampling: number } | null;
  readonly circuitBreaker: {
    readonly limits: LimitsSpec | null;
    readonly outlier: OutlierSpec | null;
    readonly fallback: FallbackPolicy | null;
  } | null;
  readonly healthCheck: HealthCheckSpec | null;
}

export interface TrafficPolicy extends KubeObject {
  readonly kind: 'TrafficPolicy';
  readonly spec: TrafficPolicySpec;
}

const CIRCUIT_BREAKER = object({
  limits: optional(LIMITS, null, 'What is in flight to a backend at most.'),
  outlier: optional(OUTLIER, null, 'Endpoints that fail are left out for a while; {} means all defaults.'),
  fallback: optional(FALLBACK, null, 'What answers when the breaker is open or retries are exhausted.'),
});

/** What the CRD's schema is made from. */
export const TRAFFIC_POLICY_SPEC = object({
  targetRefs: required(TARGET_REFS, 'What the policy is about: Services, ExternalServices, their ports, or routes.'),
  timeouts: optional(TIMEOUTS, NO_TIMEOUTS, 'How long things may take. None by default, but 1s for connect.'),
  retries: optional(RETRIES, null, 'What is tried again.'),
  loadBalancer: optional(LOAD_BALANCER, null, 'How requests are spread over endpoints.'),
  rateLimit: optional(RATE_LIMIT, null, 'Bound on requests in a time, kept where they arrive.'),
  fault: optional(FAULT, null, 'Faults on purpose, for tests.'),
  circuitBreaker: optional(CIRCUIT_BREAKER, null, 'Limits, ejection of bad endpoints, fallback.'),
  healthCheck: optional(HEALTH_CHECK, null, 'Active checks of endpoints.'),
  tracing: optional(TRACING, null, 'Tracing of requests.'),
});
type RawSpec = ValueOf<typeof TRAFFIC_POLICY_SPEC>;

const TRAFFIC_POLICY = object({
  ...strictEnvelope(dnsSubdomain),
  spec: required(TRAFFIC_POLICY_SPEC),
  status: optional(ANYTHING, null),
});

function retriesOf({ retryOn, on, backoff, budget, hedge, ...rest }: NonNullable<RawSpec['retries']>): RetrySpec {
  return {
    ...rest,
    retryOn: retryOn ?? on,
    backoff: backoff === null ? null : { baseMs: backoff.base, maxMs: backoff.max },
    budget:
      budget === null
        ? null
        : { percent: budget.percent, minPerSecond: budget.minPerSecond, intervalMs: budget.interval },
    hedge: hedge === null ? null : { afterMs: hedge.after, max: hedge.max },
  };
}

function rateLimitOf({ requests, per, burst, key }: NonNullable<RawSpec['rateLimit']>): RateLimitSpec {
  return { requests, perMs: per, burst: burst ?? requests, key: (key ?? []).map(keyOf) };
}

function keyOf({
  header,
  pathTemplate,
  clientIdentity,
}: NonNullable<NonNullable<RawSpec['rateLimit']>['key']>[number]): RateLimitKey {
  if (header !== null) return { kind: 'header', value: header.toLowerCase() };
  if (pathTemplate !== null) return { kind: 'pathTemplate', value: pathTemplate };
  return { kind: clientIdentity === null ? 'sourceAddress' : 'clientIdentity' };
}

function faultOf({ delay, abort, headers }: NonNullable<RawSpec['fault']>): FaultSpec {
  return {
    delay: delay === null ? null : { percent: delay.percent, durationMs: delay.duration },
    abort,
    headers: (headers ?? []).map(({ name, value }) => ({ name: name.toLowerCase(), value })),
  };
}

type RawFallback = NonNullable<NonNullable<RawSpec['circuitBreaker']>['fallback']>;

function fallbackOf({ backendRef, response }: RawFallback, ownNamespace: string): FallbackPolicy {
  if (backendRef !== null) {
    const { name, namespace, port } = backendRef;
    return { kind: 'backend', namespace: namespace === '' ? ownNamespace : namespace, service: name, port };
  }
  const { status = 503, headers = [], body = '' } = response ?? {};
  return { kind: 'response', status, headers: headers.map(({ name, value }) => [name.toLowerCase(), value]), body };
}

function circuitBreakerOf(
  { limits, outlier, fallback: given }: NonNullable<RawSpec['circuitBreaker']>,
  ownNamespace: string,
): TrafficPolicySpec['circuitBreaker'] {
  const fallback = given === null ? null : fallbackOf(given, ownNamespace);
  if (outlier === null) return { limits, outlier, fallback };
  const { interval, ejection, ...rest } = outlier;
  return {
    limits,
    fallback,
    outlier: {
      ...rest,
      intervalMs: interval,
      ejectionBaseMs: ejection?.base ?? null,
      ejectionMaxMs: ejection?.max ?? null,
    },
  };
}

export function parseTrafficPolicy(value: unknown, context: ParseContext): TrafficPolicy | null {
  return readObject('TrafficPolicy', TRAFFIC_POLICY, value, context, ({ spec }, common) => ({
    kind: 'TrafficPolicy',
    ...common,
    spec: {
      targetRefs: spec.targetRefs,
      timeouts: {
        requestMs: spec.timeouts.request,
        perTryMs: spec.timeouts.perTry,
        idleMs: spec.timeouts.idle,
        connectMs: spec.timeouts.connect,
      },
      retries: spec.retries === null ? null : retriesOf(spec.retries),
      loadBalancer: spec.loadBalancer === null ? null : loadBalancerOf(spec.loadBalancer),
      rateLimit: spec.rateLimit === null ? null : rateLimitOf(spec.rateLimit),
      fault: spec.fault === null ? null : faultOf(spec.fault),
      tracing: spec.tracing,
      circuitBreaker:
        spec.circuitBreaker === null ? null : circuitBreakerOf(spec.circuitBreaker, common.meta.namespace),
      healthCheck: spec.healthCheck === null ? null : healthCheckOf(spec.healthCheck),
    },
  }));
}
