/**
 * Limits and outlier detection of TrafficPolicy, settled field by field. Without any policy limits are Envoy's, and nobody is ejected.
 * Knows no precedence and no endpoint.
 */
import type { LimitsSpec, OutlierSpec } from '../../kinds/traffic-policy.ts';
import {
  DEFAULT_BACKEND_POLICY,
  DEFAULT_OUTLIER_POLICY,
  type BackendPolicy,
  type FallbackPolicy,
} from '../../model/policy.ts';
import type { Field, Settle } from './settle.ts';

function limit(name: keyof LimitsSpec): Field<number> {
  return {
    path: `spec.circuitBreaker.limits.${name}`,
    of: (spec) => spec.circuitBreaker?.limits?.[name] ?? null,
  };
}

function outlier<K extends keyof OutlierSpec>(name: K, path: string = name): Field<NonNullable<OutlierSpec[K]>> {
  return {
    path: `spec.circuitBreaker.outlier.${path}`,
    of: (spec) => spec.circuitBreaker?.outlier?.[name] ?? null,
  };
}

const CONNECTIONS = limit('connections');
const PENDING = limit('pendingRequests');
const REQUESTS = limit('requests');
const PER_CONNECTION = limit('requestsPerConnection');
const CONSECUTIVE = outlier('consecutiveErrors');
const GATEWAY = outlier('consecutiveGatewayErrors');
const SUCCESS_RATE = outlier('successRate');
const INTERVAL = outlier('intervalMs', 'interval');
const EJECTION_BASE = outlier('ejectionBaseMs', 'ejection.base');
const EJECTION_MAX = outlier('ejectionMaxMs', 'ejection.max');
const KEEP = outlier('keepEndpoints');

/** `outlier: {}` says that endpoints are judged, and nothing more. */
const BY_DEFAULTS: Field<true> = {
  path: 'spec.circuitBreaker.outlier',
  of: ({ circuitBreaker }) => {
    const given = circuitBreaker?.outlier ?? null;
    return given !== null && Object.values(given).every((value) => value === null) ? true : null;
  },
};

/** Of a route, as what it stands in for is a route's backends. */
export const FALLBACK: Field<FallbackPolicy> = {
  path: 'spec.circuitBreaker.fallback',
  of: (spec) => spec.circuitBreaker?.fallback ?? null,
};

/** What a policy can win or lose. */
export const CIRCUIT_BREAKER_FIELDS: readonly Field<unknown>[] = [
  CONNECTIONS,
  PENDING,
  REQUESTS,
  PER_CONNECTION,
  CONSECUTIVE,
  GATEWAY,
  SUCCESS_RATE,
  INTERVAL,
  EJECTION_BASE,
  EJECTION_MAX,
  KEEP,
  BY_DEFAULTS,
];

export function settleLimits(settle: Settle): BackendPolicy['limits'] {
  const fallback = DEFAULT_BACKEND_POLICY.limits;
  return {
    connections: settle(CONNECTIONS) ?? fallback.connections,
    pendingRequests: settle(PENDING) ?? fallback.pendingRequests,
    requests: settle(REQUESTS) ?? fallback.requests,
    requestsPerConnection: settle(PER_CONNECTION) ?? fallback.requestsPerConnection,
  };
}

/** Null: no policy asks for it. What is given is never contradicted by a default: a long base alone pulls the maximum up. */
export function settleOutlier(settle: Settle): BackendPolicy['outlier'] {
  const fallback = DEFAULT_OUTLIER_POLICY;
  const byDefaults = settle(BY_DEFAULTS);
  const base = settle(EJECTION_BASE);
  const max = settle(EJECTION_MAX);
  const given = {
    consecutiveErrors: settle(CONSECUTIVE),
    consecutiveGatewayErrors: settle(GATEWAY),
    successRate: settle(SUCCESS_RATE),
    intervalMs: settle(INTERVAL),
    keepEndpoints: settle(KEEP),
  };
  if ([byDefaults, base, max, ...Object.values(given)].every((value) => value === null)) return null;
  const baseMs = base ?? Math.min(fallback.ejectionBaseMs, max ?? Infinity);
  return {
    consecutiveErrors: given.consecutiveErrors ?? fallback.consecutiveErrors,
    consecutiveGatewayErrors: given.consecutiveGatewayErrors ?? fallback.consecutiveGatewayErrors,
    successRate: given.successRate ?? fallback.successRate,
    intervalMs: given.intervalMs ?? fallback.intervalMs,
    ejectionBaseMs: baseMs,
    ejectionMaxMs: Math.max(max ?? fallback.ejectionMaxMs, baseMs),
    keepEndpoints: given.keepEndpoints ?? fallback.keepEndpoints,
  };
}
