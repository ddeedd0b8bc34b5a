/**
 * Fallback backends of TrafficPolicies: one that leads nowhere is not in force, and the policy's status says why.
 * Knows no precedence.
 */
import type { TrafficPolicy } from '../../kinds/traffic-policy.ts';
import type { World } from '../../sources/world.ts';
import type { Grants } from '../grants.ts';
import { resolveBackend, type Unresolved } from '../references.ts';

/** Null: there is none, it is a response, or its backend is there. */
export function unresolvedFallback(policy: TrafficPolicy, { services }: World, grants: Grants): Unresolved | null {
  const fallback = policy.spec.circuitBreaker?.fallback ?? null;
  if (fallback?.kind !== 'backend') return null;
  const { service: name, namespace, port } = fallback;
  const found = resolveBackend({ group: '', kind: 'Service', name, namespace, port }, policy, null, {
    services,
    grants,
  });
  return found.ok ? null : found.error;
}

/** The policy as it is in force. */
export function withoutFallback(policy: TrafficPolicy): TrafficPolicy {
  const { circuitBreaker } = policy.spec;
  if (circuitBreaker === null) return policy;
  return { ...policy, spec: { ...policy.spec, circuitBreaker: { ...circuitBreaker, fallback: null } } };
}
