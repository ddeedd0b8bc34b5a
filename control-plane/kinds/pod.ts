/** Pod (core/v1): one workload instance with its address and readiness. */
import type { KubeObject } from './meta.ts';
import type { PodSpec } from './pod-spec.ts';

export interface Pod extends KubeObject {
  readonly kind: 'Pod';
  readonly spec: PodSpec & { readonly nodeName: string };
  readonly status: {
    readonly phase: 'Pending' | 'Running' | 'Succeeded' | 'Failed' | 'Unknown';
    /** All addresses, the primary one first; empty before scheduling. */
    readonly podIps: readonly string[];
    readonly ready: boolean;
  };
  /** Name of the owning workload (Deployment, StatefulSet, …), or the pod's own name. */
  readonly owner: string;
  /** `metadata.deletionTimestamp` is set. */
  readonly terminating: boolean;
}
