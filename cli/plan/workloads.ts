/** What changes at the side where requests arrive, and for all that applications call: workloads, and the outbound policy of the mesh. */
import type { Mesh, Workload } from '../../control-plane/model/mesh.ts';
import { differences, type Difference } from './differences.ts';

export interface WorkloadChange {
  /** Deployment or other owner, as in `namespace/name`. */
  readonly owner: string;
  /** Its pods that change in this way. */
  readonly pods: number;
  readonly differences: readonly Difference[];
}

/** Of pods that stay, in order of name; those of an owner that change in the same way are one. */
export function workloadChanges(before: Mesh, after: Mesh): readonly WorkloadChange[] {
  const changes = new Map<string, WorkloadChange>();
  for (const [key, workload] of after.workloads) {
    const old = before.workloads.get(key);
    const found = old === undefined ? [] : differences(told(old), told(workload));
    if (found.length === 0) continue;
    const owner = `${workload.namespace}/${workload.owner}`;
    const id = `${owner} ${JSON.stringify(found)}`;
    changes.set(id, { owner, pods: (changes.get(id)?.pods ?? 0) + 1, differences: found });
  }
  return [...changes].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, change]) => change);
}

function told({ meshed, mtlsMode, identity, zone, inboundPorts }: Workload): object {
  return { meshed, mtlsMode, identity, zone, inboundPorts };
}

export function outboundChanges({ outbound: before }: Mesh, { outbound: after }: Mesh): readonly Difference[] {
  return differences(plain(before), plain(after));
}

function plain(policy: Mesh['outbound']): object {
  return { ...policy, byNamespace: Object.fromEntries(policy.byNamespace) };
}
