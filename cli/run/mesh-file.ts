/**
 * `mesh.json` in the state folder: which processes run where. Written for other commands (`tulle stat`, `tulle endpoints`) and for people.
 */
import { readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import type { ControlPlaneProcess } from './control-plane-process.ts';
import { writeWhole } from './object-folder.ts';
import type { Replica } from './replica.ts';

export interface RunningReplica {
  readonly namespace: string;
  readonly pod: string;
  readonly deployment: string;
  readonly ready: boolean;
  readonly podAddress: string;
  readonly appAddress: string;
  /** `ADDRESS:PORT`s of the sidecar; empty when there is none. */
  readonly adminAddress: string;
  readonly metricsAddress: string;
  readonly appPid: number | null;
  readonly sidecarPid: number | null;
}

export interface RunningMesh {
  /** Folders of manifests that the control plane reads, the runner's own among them. */
  readonly folders: readonly string[];
  readonly clusterDomain: string;
  readonly runnerPid: number;
  readonly controlPlane: { readonly pid: number | null; readonly xdsAddress: string; readonly adminAddress: string };
  readonly replicas: readonly RunningReplica[];
}

const NAME = 'mesh.json';

export class MeshFile {
  readonly #path: string;
  readonly #source: Pick<RunningMesh, 'folders' | 'clusterDomain'>;

  constructor(stateFolder: string, source: Pick<RunningMesh, 'folders' | 'clusterDomain'>) {
    this.#source = source;
    this.#path = path.join(stateFolder, NAME);
  }

  write(controlPlane: ControlPlaneProcess, replicas: readonly Replica[]): void {
    const { pid, xdsAddress, adminAddress } = controlPlane;
    const mesh: RunningMesh = {
      ...this.#source,
      runnerPid: process.pid,
      controlPlane: { pid, xdsAddress, adminAddress },
      replicas: replicas.map(describe),
    };
    writeWhole(this.#path, JSON.stringify(mesh, null, 1));
  }

  remove(): void {
    rmSync(this.#path, { force: true });
  }
}

function describe(replica: Replica): RunningReplica {
  const { plan, network, ready, appPid, sidecarPid } = replica;
  return {
    namespace: plan.namespace,
    pod: plan.name,
    deployment: plan.deployment,
    ready,
    podAddress: network.podAddress,
    appAddress: network.appAddress,
    adminAddress: plan.meshed ? network.adminAddress : '',
    metricsAddress: plan.meshed ? network.metricsAddress : '',
    appPid,
    sidecarPid,
  };
}

/** The mesh that runs with this state folder; null when none does. */
export function readMeshFile(stateFolder: string): RunningMesh | null {
  try {
    // Only the runner writes it, whole, in a private folder.
    return JSON.parse(readFileSync(path.join(stateFolder, NAME), 'utf8')) as RunningMesh;
  } catch {
    return null;
  }
}

/** Why no mesh can be started with this state folder: one runs there, and the two would undo each other's files. Null: it can. */
export function occupied(stateFolder: string): string | null {
  const running = readMeshFile(stateFolder);
  if (running === null || !isAlive(running.runnerPid)) return null;
  return `a mesh runs with the state folder ${stateFolder} already (process ${running.runnerPid}): end it, or name another with --state-dir`;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
