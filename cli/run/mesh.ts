/**
 * A mesh on this machine: network, control plane, the manifests followed, and a process for each replica that they want.
 * What is opened first is closed last.
 */
import { chmodSync, mkdirSync } from 'node:fs';
import path from 'node:path';
import type { Clock } from '#base/clock.ts';
import { Scope } from '#base/scope.ts';
import type { World } from '../../control-plane/sources/world.ts';
import type { Programs } from '../programs.ts';
import type { Report } from './report.ts';
import type { RunSettings } from './settings.ts';
import { startControlPlane, type ControlPlaneProcess } from './control-plane-process.ts';
import { Fleet } from './fleet.ts';
import { loopbackNetwork } from './loopback-network.ts';
import { followManifests, type Manifests } from './manifests.ts';
import { MeshFile, occupied } from './mesh-file.ts';
import type { Network } from './network.ts';
import { ObjectFolder } from './object-folder.ts';
import type { Replica } from './replica.ts';
import { startWatchdog } from './watchdog.ts';

export interface Mesh {
  readonly controlPlane: ControlPlaneProcess;
  readonly replicas: readonly Replica[];
  readonly world: World;
  /** Every Deployment that can run has all its replicas ready. */
  readonly settled: boolean;
  /** Resolves at the next change of any replica. */
  changed(): Promise<void>;
  close(): Promise<void>;
}

export interface MeshOptions {
  readonly settings: RunSettings;
  readonly programs: Programs;
  readonly clock: Clock;
  readonly report: Report;
}

/** Resolves when the control plane is ready and the replicas are started; they become ready later. */
export async function startMesh(options: MeshOptions): Promise<Mesh> {
  const scope = new Scope();
  try {
    return await openMesh(options, scope);
  } catch (error) {
    await scope.close();
    throw error;
  }
}

async function openMesh(options: MeshOptions, scope: Scope): Promise<Mesh> {
  const { settings, clock, report } = options;
  const refusal = occupied(settings.stateFolder);
  if (refusal !== null) throw new Error(refusal);
  mkdirSync(settings.stateFolder, { recursive: true });
  const watchdog = startWatchdog();
  scope.add(() => watchdog.close());
  const network = await openNetwork(options);
  scope.add(() => network.close());
  const objectFolder = path.join(settings.stateFolder, 'objects');
  const tokenFolder = path.join(settings.stateFolder, 'tokens');
  letIn(network, settings.stateFolder, tokenFolder);
  const objects = new ObjectFolder(objectFolder);
  const listeners = new Set<() => void>();
  const folders = [settings.folder, objectFolder].map((folder) => path.resolve(folder));
  const meshFile = new MeshFile(settings.stateFolder, { folders, clusterDomain: settings.clusterDomain });
  let fleet: Fleet | null = null;
  const controlPlane = await startControlPlane({
    ...options,
    watchdog,
    network,
    objectFolder,
    onStart: () => fleet?.announce(),
  });
  scope.add(() => controlPlane.stop());

  scope.add(() => meshFile.remove());
  const running = new Fleet({ ...options, watchdog, objects, controlPlane, tokenFolder }, network, () => {
    meshFile.write(controlPlane, running.replicas);
    for (const listener of listeners) listener();
    listeners.clear();
  });
  fleet = running;
  scope.add(() => running.close());
  const manifests: Manifests = await followManifests({
    folder: settings.folder,
    clusterDomain: settings.clusterDomain,
    clock,
    report,
    onWorld: (world) => running.apply(world),
  });
  scope.add(() => manifests.close());

  return {
    controlPlane,
    get replicas() {
      return running.replicas;
    },
    get world() {
      return manifests.world;
    },
    get settled() {
      return running.settled;
    },
    changed: () => new Promise((resolve) => void listeners.add(resolve)),
    async close() {
      for (const error of await scope.close()) report.problem(error.message);
    },
  };
}

/** Makes the folders that sidecars must reach, for those who may. */
function letIn({ folderMode }: Network, ...folders: readonly string[]): void {
  for (const folder of folders) {
    mkdirSync(folder, { recursive: true });
    chmodSync(folder, folderMode);
  }
}

async function openNetwork({ settings, programs }: MeshOptions): Promise<Network> {
  if (settings.network === 'loopback') return loopbackNetwork(settings.clusterDomain);
  const { namespaceNetwork } = await import('./namespace-network.ts');
  return namespaceNetwork(settings, programs);
}
