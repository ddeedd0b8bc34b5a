/**
 * TrafficPolicy (tulle.dev/v1alpha1): how calls to a Service, a Service port or a route behave.
 * The schema is `crds/trafficpolicies.yaml`; a null here means "not given", so that precedence can be settled field by field.
 */
import type { KubeObject } from './meta.ts';

export interface PolicyTargetRef {
  readonly group: string;
  readonly kind: 'Service' | 'HTTPRoute' | 'GRPCRoute';
  readonly name: string;
  /** A port name of the Service, or a rule name of the route; empty: all of it. */
  readonly sectionName: string;
}

export interface RetrySpec {
  readonly attempts: number | null;
  readonly on: readonly string[] | null;
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

export interface TrafficPolicySpec {
  readonly targetRefs: readonly PolicyTargetRef[];
  readonly timeouts: {
    readonly requestMs: number | null;
    readonly perTryMs: number | null;
    readonly idleMs: number | null;
    readonly connectMs: number | null;
  };
  readonly retries: RetrySpec | null;
  readonly loadBalancer: { readonly policy: LoadBalancerName | null } | null;
  /** Paths of fields that were given and are valid, but which this version does not yet put in force. */
  readonly notInForce: readonly string[];
}

export const LOAD_BALANCERS = ['PeakEwma', 'LeastRequest', 'RoundRobin', 'Random', 'RingHash', 'Maglev'] as const;
export type LoadBalancerName = (typeof LOAD_BALANCERS)[number];

export interface TrafficPolicy extends KubeObject {
  readonly kind: 'TrafficPolicy';
  readonly spec: TrafficPolicySpec;
}
