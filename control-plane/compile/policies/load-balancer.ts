/** The load balancer of TrafficPolicy: which of its names are in force. Knows no precedence and no endpoint. */
import type { LoadBalancerName } from '../../kinds/traffic-policy.ts';
import type { Balancer } from '../../model/policy.ts';
import type { Field } from './settle.ts';

/** Null: valid, but not yet in force; the default takes its place. */
const BALANCERS: Readonly<Record<LoadBalancerName, Balancer | null>> = {
  PeakEwma: 'peak-ewma',
  LeastRequest: 'least-request',
  RoundRobin: 'round-robin',
  Random: 'random',
  RingHash: null,
  Maglev: null,
};

export const LOAD_BALANCER: Field<LoadBalancerName> = {
  path: 'spec.loadBalancer.policy',
  of: (spec) => spec.loadBalancer?.policy ?? null,
};

export function balancerOf(name: LoadBalancerName): Balancer | null {
  return BALANCERS[name];
}
