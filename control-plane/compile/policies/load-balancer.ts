/** The load balancer of TrafficPolicy. Knows no precedence and no endpoint. */
import type { HashOnSpec, LoadBalancerName, LocalityPreference } from '../../kinds/traffic-policy-load-balancer.ts';
import { DEFAULT_BACKEND_POLICY, type BackendPolicy, type Balancer } from '../../model/policy.ts';
import type { Field, Settle } from './settle.ts';

const BALANCERS: Readonly<Record<LoadBalancerName, Balancer>> = {
  PeakEwma: 'peak-ewma',
  LeastRequest: 'least-request',
  RoundRobin: 'round-robin',
  Random: 'random',
  RingHash: 'ring-hash',
  Maglev: 'maglev',
};

const POLICY: Field<LoadBalancerName> = {
  path: 'spec.loadBalancer.policy',
  of: (spec) => spec.loadBalancer?.policy ?? null,
};

const HASH_ON: Field<readonly HashOnSpec[]> = {
  path: 'spec.loadBalancer.hashOn',
  of: (spec) => spec.loadBalancer?.hashOn ?? null,
};

const SLOW_START: Field<number> = {
  path: 'spec.loadBalancer.slowStart',
  of: (spec) => spec.loadBalancer?.slowStartMs ?? null,
};

const PREFER: Field<LocalityPreference> = {
  path: 'spec.loadBalancer.locality.prefer',
  of: (spec) => spec.loadBalancer?.prefer ?? null,
};

export const LOAD_BALANCER_FIELDS: readonly Field<unknown>[] = [POLICY, HASH_ON, SLOW_START, PREFER];

/** `hashOn` may come from another policy than the balancer that needs it; with one that does not, it says nothing. */
export function settleBalancer(
  settle: Settle,
): Pick<BackendPolicy, 'balancer' | 'hashOn' | 'slowStartMs' | 'prefersZone'> {
  const name = settle(POLICY);
  const balancer = name === null ? DEFAULT_BACKEND_POLICY.balancer : BALANCERS[name];
  const hashOn = settle(HASH_ON);
  const slowStartMs = settle(SLOW_START) ?? DEFAULT_BACKEND_POLICY.slowStartMs;
  const prefersZone = settle(PREFER) === 'Zone';
  const hashes = balancer === 'ring-hash' || balancer === 'maglev';
  return { balancer, hashOn: (hashes ? hashOn : null) ?? DEFAULT_BACKEND_POLICY.hashOn, slowStartMs, prefersZone };
}
