/**
 * Retries of TrafficPolicy: which fields it has, and the whole policy that follows from those in force.
 * Knows no precedence.
 */
import type { HttpRouteRetry } from '../../kinds/http-route.ts';
import {
  DEFAULT_BACKEND_POLICY,
  DEFAULT_RETRY_POLICY,
  type BackendPolicy,
  type RetryCondition,
  type RetryPolicy,
} from '../../model/policy.ts';
import type { Field, Settle } from './settle.ts';

const CONDITIONS: ReadonlySet<string> = new Set<RetryCondition>([
  'connect-failure',
  'refused-stream',
  'reset',
  'gateway-error',
  '5xx',
  'retriable-status',
]);

const ATTEMPTS: Field<number> = { path: 'spec.retries.attempts', of: (spec) => spec.retries?.attempts ?? null };
const RETRY_ON: Field<readonly string[]> = {
  path: 'spec.retries.retryOn',
  of: (spec) => spec.retries?.retryOn ?? null,
};
const STATUSES: Field<readonly number[]> = {
  path: 'spec.retries.statuses',
  of: (spec) => spec.retries?.statuses ?? null,
};
const METHODS: Field<readonly string[]> = { path: 'spec.retries.methods', of: (spec) => spec.retries?.methods ?? null };
const GRPC: Field<readonly string[]> = { path: 'spec.retries.grpc', of: (spec) => spec.retries?.grpc ?? null };
const IDEMPOTENCY_KEY: Field<string> = {
  path: 'spec.retries.idempotencyKeyHeader',
  of: (spec) => spec.retries?.idempotencyKeyHeader ?? null,
};
const BACKOFF_BASE: Field<number> = {
  path: 'spec.retries.backoff.base',
  of: (spec) => spec.retries?.backoff?.baseMs ?? null,
};
const BACKOFF_MAX: Field<number> = {
  path: 'spec.retries.backoff.max',
  of: (spec) => spec.retries?.backoff?.maxMs ?? null,
};
const HEDGE: Field<NonNullable<RetryPolicy['hedge']>> = {
  path: 'spec.retries.hedge',
  of: (spec) => spec.retries?.hedge ?? null,
};
const BUDGET_PERCENT: Field<number> = {
  path: 'spec.retries.budget.percent',
  of: (spec) => spec.retries?.budget?.percent ?? null,
};
const BUDGET_MIN: Field<number> = {
  path: 'spec.retries.budget.minPerSecond',
  of: (spec) => spec.retries?.budget?.minPerSecond ?? null,
};
const BUDGET_INTERVAL: Field<number> = {
  path: 'spec.retries.budget.interval',
  of: (spec) => spec.retries?.budget?.intervalMs ?? null,
};

/** Fields that say what a route does with a request. */
export const ROUTE_RETRY_FIELDS: readonly Field<unknown>[] = [
  ATTEMPTS,
  RETRY_ON,
  STATUSES,
  METHODS,
  GRPC,
  IDEMPOTENCY_KEY,
  BACKOFF_BASE,
  BACKOFF_MAX,
  HEDGE,
];
/** Fields that belong to a backend: a budget counts what all routes send there. */
export const BUDGET_FIELDS: readonly Field<unknown>[] = [BUDGET_PERCENT, BUDGET_MIN, BUDGET_INTERVAL];

/** GEP-1731: whoever asks for retries means connections that fail, and these codes. */
function conditionsOf({ codes }: HttpRouteRetry): readonly RetryCondition[] {
  return ['connect-failure', 'refused-stream', 'reset', ...(codes.length > 0 ? (['retriable-status'] as const) : [])];
}

/**
 * Null: `attempts: 0` without hedges, nothing is sent twice.
 * @param own what the HTTPRoute's rule says; it says nothing of methods, so that those of the policies count, else the idempotent ones
 */
export function settleRetry(settle: Settle, own: HttpRouteRetry | null): RetryPolicy | null {
  const fallback = DEFAULT_RETRY_POLICY;
  const attempts = settle(ATTEMPTS, own?.attempts) ?? fallback.attempts;
  const asked = settle(RETRY_ON, own === null ? null : conditionsOf(own));
  const retryOn = asked?.filter((name): name is RetryCondition => CONDITIONS.has(name)) ?? fallback.retryOn;
  const policy: RetryPolicy = {
    attempts,
    retryOn,
    statuses: settle(STATUSES, own?.codes) ?? fallback.statuses,
    methods: settle(METHODS) ?? fallback.methods,
    grpc: settle(GRPC) ?? fallback.grpc,
    idempotencyKeyHeader: settle(IDEMPOTENCY_KEY)?.toLowerCase() ?? fallback.idempotencyKeyHeader,
    safeResets: fallback.safeResets,
    ...settleBackoff(settle, own?.backoffMs ?? null),
    hedge: settle(HEDGE),
  };
  return attempts === 0 && policy.hedge === null ? null : policy;
}

/** What is given is never contradicted by a default: a base alone allows ten times itself (as in Envoy), a short maximum alone pulls the base down. */
function settleBackoff(
  settle: Settle,
  own: number | null,
): Pick<RetryPolicy, 'backoffBaseMs' | 'backoffMaxMs' | 'backoffMinMs'> {
  // Nobody waits for less than a millisecond.
  const base = settle(BACKOFF_BASE, own === null ? null : Math.max(1, own));
  const max = settle(BACKOFF_MAX);
  const baseMs = base ?? Math.min(DEFAULT_RETRY_POLICY.backoffBaseMs, max ?? Infinity);
  return { backoffBaseMs: baseMs, backoffMaxMs: Math.max(max ?? baseMs * 10, baseMs), backoffMinMs: own ?? 0 };
}

export function settleBudget(settle: Settle): BackendPolicy['retryBudget'] {
  const fallback = DEFAULT_BACKEND_POLICY.retryBudget;
  return {
    percent: settle(BUDGET_PERCENT) ?? fallback.percent,
    minPerSecond: settle(BUDGET_MIN) ?? fallback.minPerSecond,
    intervalMs: settle(BUDGET_INTERVAL) ?? fallback.intervalMs,
  };
}
