/**
 * The mesh of the soak: started, its ports found, its processes looked at. Knows no load.
 */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { systemClock } from '#base/clock.ts';
import { ownPrograms } from '../../cli/programs.ts';
import { startMesh, type Mesh } from '../../cli/run/mesh.ts';
import { readMeshFile } from '../../cli/run/mesh-file.ts';
import type { Place } from './clients.ts';
import { INSPECTED } from './collect.ts';
import { PORTS, REPLICAS, type ServiceName } from './names.ts';
import type { Sample } from './verdict.ts';

const SETTLE_MS = 60_000;
const LEAF_TTL_MS = 90_000;

/** A mesh of the bundles or the sources that `entry` belongs to, when all replicas are ready. */
export async function start(entry: string, folder: string, stateFolder: string): Promise<Mesh> {
  const variables = { PATH: `${path.dirname(process.execPath)}:/usr/bin:/bin`, NODE_OPTIONS: INSPECTED };
  const mesh = await startMesh({
    settings: {
      folder,
      stateFolder,
      logFolder: path.join(stateFolder, 'logs'),
      network: 'loopback',
      clusterDomain: 'cluster.local',
      trustDomain: 'cluster.local',
      leafTtlMs: LEAF_TTL_MS,
      baseVariables: variables,
    },
    programs: ownPrograms(entry, stateFolder, variables),
    clock: systemClock,
    report: { news: () => undefined, problem: (line) => console.error(line) },
  });
  const deadline = Date.now() + SETTLE_MS;
  while (!mesh.settled || mesh.replicas.length < REPLICAS + 1) {
    if (Date.now() > deadline) throw new Error('the mesh is not up');
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  return mesh;
}

/** Where the client's sidecar listens for each Service. */
export function places(mesh: Mesh): Readonly<Record<ServiceName, Place>> {
  const client = mesh.replicas.find(({ plan }) => plan.deployment === 'client');
  const place = (name: string): Place => {
    const [port] = client?.network.services.find(({ service }) => service === name)?.ports ?? [];
    if (port === undefined) throw new Error(`there is no Service ${name}`);
    return { host: port.address, port: port.port };
  };
  const [web, calls, bytes] = Object.keys(PORTS).map(place);
  if (web === undefined || calls === undefined || bytes === undefined) throw new Error('a Service is missing');
  return { web, calls, bytes };
}

/** Every process of ours, as it is now. */
export function lookAt(state: string, seconds: number): Sample[] {
  const mesh = readMeshFile(state);
  if (mesh === null) return [];
  const processes: [string, number | null][] = [
    ['control-plane', mesh.controlPlane.pid],
    ...mesh.replicas.map((replica): [string, number | null] => [replica.pod, replica.sidecarPid]),
  ];
  return processes.flatMap(([process, pid]) => (pid === null ? [] : sampleOf(process, pid, seconds)));
}

function sampleOf(name: string, pid: number, seconds: number): Sample[] {
  try {
    const kilobytes = Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
    const descriptors = readdirSync(`/proc/${pid}/fd`).length;
    return [{ seconds, process: name, rssMb: (kilobytes * 1024) / 1e6, descriptors }];
  } catch {
    return []; // It has just ended.
  }
}
