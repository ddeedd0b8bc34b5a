/** Active health checks of TrafficPolicy: one field, for half of one check and half of another would be neither. Knows no precedence. */
import type { HealthCheckSpec } from '../../kinds/health-check-fields.ts';
import type { BackendPolicy } from '../../model/policy.ts';
import type { Field, Settle } from './settle.ts';

export const HEALTH_CHECK: Field<HealthCheckSpec> = { path: 'spec.healthCheck', of: (spec) => spec.healthCheck };

/** Those of Kubernetes' probes. */
const DEFAULTS = { intervalMs: 10_000, timeoutMs: 1000, healthyThreshold: 1, unhealthyThreshold: 3, statuses: [200] };

/** Null: no policy asks for it. What is given is never contradicted by a default: a short interval alone shortens the timeout. */
export function settleHealthCheck(settle: Settle): BackendPolicy['healthCheck'] {
  const given = settle(HEALTH_CHECK);
  if (given === null) return null;
  const { check } = given;
  const intervalMs = given.intervalMs ?? Math.max(DEFAULTS.intervalMs, given.timeoutMs ?? 0);
  return {
    check: check.kind === 'http' ? { ...check, statuses: check.statuses ?? DEFAULTS.statuses } : check,
    intervalMs,
    timeoutMs: given.timeoutMs ?? Math.min(DEFAULTS.timeoutMs, intervalMs),
    healthyThreshold: given.healthyThreshold ?? DEFAULTS.healthyThreshold,
    unhealthyThreshold: given.unhealthyThreshold ?? DEFAULTS.unhealthyThreshold,
  };
}
