/**
 * The whole policy of a route and of a backend, from the fields in force; and which given fields are not in force.
 * Knows no object but the policy's spec.
 */
import type { HttpRouteRule } from '../../kinds/http-route.ts';
import type { PolicyTargetRef, TrafficPolicySpec } from '../../kinds/traffic-policy.ts';
import {
  DEFAULT_BACKEND_POLICY,
  DEFAULT_ROUTE_POLICY,
  type BackendPolicy,
  type RoutePolicy,
} from '../../model/policy.ts';
import { CIRCUIT_BREAKER_FIELDS, FALLBACK, settleLimits, settleOutlier } from './circuit-breaker.ts';
import { HEALTH_CHECK, settleHealthCheck } from './health-check.ts';
import { LOAD_BALANCER_FIELDS, settleBalancer } from './load-balancer.ts';
import { FAULT, RATE_LIMIT, SAMPLING } from './requests.ts';
import { BUDGET_FIELDS, ROUTE_RETRY_FIELDS, settleBudget, settleRetry } from './retries.ts';
import type { Field, Settle } from './settle.ts';
import { CONNECT_TIMEOUT, IDLE_TIMEOUT, PER_TRY_TIMEOUT, REQUEST_TIMEOUT } from './timeouts.ts';

/** Connections belong to the backend, whatever route leads there. */
export const BACKEND_FIELDS: readonly Field<unknown>[] = [
  CONNECT_TIMEOUT,
  ...LOAD_BALANCER_FIELDS,
  RATE_LIMIT,
  ...BUDGET_FIELDS,
  ...CIRCUIT_BREAKER_FIELDS,
  HEALTH_CHECK,
];

export const POLICY_FIELDS: readonly Field<unknown>[] = [
  REQUEST_TIMEOUT,
  PER_TRY_TIMEOUT,
  IDLE_TIMEOUT,
  ...ROUTE_RETRY_FIELDS,
  FAULT,
  FALLBACK,
  SAMPLING,
  ...BACKEND_FIELDS,
];

/** What a rule of an HTTPRoute says for itself: nothing is more specific. */
export type OwnPolicy = Pick<HttpRouteRule, 'timeouts' | 'retry'>;

/** @param own null for the default route */
export function routePolicy(settle: Settle, own: OwnPolicy | null): RoutePolicy {
  const fallback = DEFAULT_ROUTE_POLICY;
  return {
    requestTimeoutMs: settle(REQUEST_TIMEOUT, own?.timeouts.requestMs) ?? fallback.requestTimeoutMs,
    perTryTimeoutMs: settle(PER_TRY_TIMEOUT, own?.timeouts.backendRequestMs) ?? fallback.perTryTimeoutMs,
    idleTimeoutMs: settle(IDLE_TIMEOUT) ?? fallback.idleTimeoutMs,
    retry: settleRetry(settle, own?.retry ?? null),
    fault: settle(FAULT),
    fallback: settle(FALLBACK),
    sampling: settle(SAMPLING),
  };
}

export function backendPolicy(settle: Settle): BackendPolicy {
  const fallback = DEFAULT_BACKEND_POLICY;
  return {
    connectTimeoutMs: settle(CONNECT_TIMEOUT) ?? fallback.connectTimeoutMs,
    ...settleBalancer(settle),
    rateLimit: settle(RATE_LIMIT),
    sampling: settle(SAMPLING),
    retryBudget: settleBudget(settle),
    limits: settleLimits(settle),
    outlier: settleOutlier(settle),
    healthCheck: settleHealthCheck(settle),
  };
}

/** Connections go there, so that fields of a backend count; the others are routes. */
export function isBackend(kind: PolicyTargetRef['kind']): boolean {
  return kind === 'Service' || kind === 'ExternalService';
}

/** Given fields that change nothing there: they are meant for another kind of target. */
export function misplaced(spec: TrafficPolicySpec, kind: PolicyTargetRef['kind']): readonly string[] {
  return isBackend(kind) ? [] : BACKEND_FIELDS.filter((field) => field.of(spec) !== null).map(({ path }) => path);
}

const HASHES: ReadonlySet<string> = new Set(['RingHash', 'Maglev']);
const STARTS_SLOWLY: ReadonlySet<string> = new Set(['PeakEwma', 'LeastRequest', 'RoundRobin']);

/** Given fields that the balancer named beside them does not look at, with those that do; another policy may name another balancer. */
export function idleBeside({ loadBalancer }: TrafficPolicySpec): readonly string[] {
  if (loadBalancer === null || loadBalancer.policy === null) return [];
  const { policy, hashOn, slowStartMs } = loadBalancer;
  const tell = (field: string, withThese: ReadonlySet<string>): string =>
    `spec.loadBalancer.${field} has no effect with ${policy}, but with ${[...withThese].join(', ')}`;
  return [
    ...(hashOn !== null && !HASHES.has(policy) ? [tell('hashOn', HASHES)] : []),
    ...(slowStartMs !== null && slowStartMs > 0 && !STARTS_SLOWLY.has(policy)
      ? [tell('slowStart', STARTS_SLOWLY)]
      : []),
  ];
}
