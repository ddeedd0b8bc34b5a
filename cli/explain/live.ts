/** What of a mesh that runs on this machine goes into an explanation: its manifests, and what sidecars say of themselves. */
import path from 'node:path';
import { ask } from '../admin/ask.ts';
import { readMeshFile, type RunningMesh, type RunningReplica } from '../run/mesh-file.ts';
import type { ClusterState } from '../../proxy/worker/describe.ts';
import type { From, LiveClusters } from './explain.ts';
import type { Witness } from './happened.ts';

const PATIENCE_MS = 5000;

/** A sentence when none runs. */
export function meshOf(stateDir: string): RunningMesh | string {
  return (
    readMeshFile(path.resolve(stateDir)) ?? `no mesh runs with the state folder ${stateDir} (start one with tulle run)`
  );
}

/** All sidecars; a sentence when no mesh runs. */
export function witnessesOf(stateDir: string): readonly Witness[] | string {
  const mesh = meshOf(stateDir);
  return typeof mesh === 'string' ? mesh : meshed(mesh).map((r) => ({ name: nameOf(r), adminAddress: r.adminAddress }));
}

/** As the sidecar of `from` sees them; empty when `from` names no pod. A sentence when that pod has none, or it does not answer. */
export async function liveClusters(mesh: RunningMesh, { namespace, workload }: From): Promise<LiveClusters | string> {
  if (workload === '') return new Map();
  const own = meshed(mesh).filter((replica) => replica.namespace === namespace);
  const found = own.find(({ pod }) => pod === workload) ?? own.find(({ pod }) => pod.startsWith(workload));
  if (found === undefined) {
    const known = meshed(mesh).map(nameOf).join(', ');
    return `there is no pod ${namespace}/${workload} with a sidecar; there are ${known === '' ? 'none' : known}`;
  }
  const answer = await ask(`http://${found.adminAddress}/clusters`, PATIENCE_MS);
  if (answer?.status !== 200) return `the sidecar of ${nameOf(found)} does not answer`;
  const clusters = JSON.parse(answer.body) as readonly ClusterState[];
  return new Map(clusters.map(({ name, endpoints }) => [name, endpoints]));
}

function meshed(mesh: RunningMesh): readonly RunningReplica[] {
  return mesh.replicas.filter(({ adminAddress }) => adminAddress !== '');
}

function nameOf({ namespace, pod }: RunningReplica): string {
  return `${namespace}/${pod}`;
}
