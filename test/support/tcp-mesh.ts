/**
 * A mesh of real processes whose workloads speak opaque protocols, and one that does nothing: its sidecar is the way in.
 * Test-only.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import path from 'node:path';
import { replicasOf, startFolder, stateFolder, type RunningMesh } from '../e2e/running-mesh.ts';

export interface TcpPort {
  readonly port: number;
  /** The port that the application listens on; the same when left out. */
  readonly targetPort?: number;
  readonly appProtocol?: string;
}

export interface TcpWorkload {
  /** Of the Deployment, its label and its ServiceAccount. */
  readonly name: string;
  readonly replicas: number;
  /** `POD_IP` in the environment is the address to listen on. */
  readonly command: readonly string[];
  /** By name of the Service; every Service selects all replicas. */
  readonly services: Readonly<Record<string, TcpPort>>;
  readonly readinessProbe?: object;
}

export interface TcpMesh extends RunningMesh {
  /** Where the client's sidecar listens for a Service. */
  at(service: string): { readonly host: string; readonly port: number };
  /** A connection to a Service, through the client's sidecar. */
  open(service: string): Socket;
}

const NAMESPACE = 'test';
const CLIENT: TcpWorkload = { name: 'client', replicas: 1, command: ['sleep', '600'], services: {} };

function objectsOf(workload: TcpWorkload): readonly object[] {
  const { name, replicas, command, services, readinessProbe } = workload;
  const selector = { app: name };
  const env = [{ name: 'POD_IP', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } }];
  const spec = {
    serviceAccountName: name,
    terminationGracePeriodSeconds: 1,
    containers: [
      { name: 'main', image: name, command, env, ...(readinessProbe === undefined ? {} : { readinessProbe }) },
    ],
  };
  return [
    { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name, namespace: NAMESPACE } },
    {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name, namespace: NAMESPACE },
      spec: { replicas, selector: { matchLabels: selector }, template: { metadata: { labels: selector }, spec } },
    },
    ...Object.entries(services).map(([service, port]) => ({
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: service, namespace: NAMESPACE },
      spec: { selector, ports: [port] },
    })),
  ];
}

/** Resolves when all replicas are ready. @param more objects beside the workloads: routes, policies */
export async function startTcpMesh(workloads: readonly TcpWorkload[], more: readonly object[] = []): Promise<TcpMesh> {
  const folder = path.join(stateFolder(), 'manifests');
  mkdirSync(folder);
  const all = [CLIENT, ...workloads];
  const list = { apiVersion: 'v1', kind: 'List', items: [...all.flatMap(objectsOf), ...more] };
  writeFileSync(path.join(folder, 'all.json'), JSON.stringify(list));
  const running = await startFolder(
    folder,
    all.reduce((sum, { replicas }) => sum + replicas, 0),
    {},
  );
  const [client] = replicasOf(running.mesh, CLIENT.name);
  const at = (service: string): { host: string; port: number } => {
    const [port] = client?.network.services.find((s) => s.service === service)?.ports ?? [];
    if (port === undefined) throw new Error(`there is no Service ${service}`);
    return { host: port.address, port: port.port };
  };
  return { ...running, at, open: (service) => connect({ ...at(service), allowHalfOpen: true }) };
}
