/**
 * Tulle as a contender: the real control plane on a folder of manifests, and one or two real sidecars in explicit capture, all from `dist`.
 * Metrics and tracing headers are on, as they are by default.
 */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { systemClock } from '#base/clock.ts';
import { FolderTokens, loadTokenKey } from '../../control-plane/identity/tokens.ts';
import { SIDECAR_ENV, SIDECAR_NODE_FLAGS } from '../../cli/programs.ts';
import { AddressPool, type ReplicaAddresses } from '../../cli/run/addresses.ts';
import { untilServed } from './application.ts';
import { freePort, rssMb, start, untilAnswered, type Running } from './processes.ts';
import type { Place, Protocol, RunningPath, Scenario } from './scenario.ts';

const DIST = join(import.meta.dirname, '..', '..', 'dist');
const NAMESPACE = 'bench';
const HOST = `app.${NAMESPACE}.svc.cluster.local`;
const PORTS = { metrics: 15_020, outbound: 20_000 };
const TOKEN_LIFE_MS = 3_600_000;

/** Addresses are given back when the process ends. */
const addresses = new AddressPool();

/** A mesh without sidecars yet. */
export interface Mesh {
  /** Starts a sidecar and waits until it is ready; `readyMs` is from the start of the process. */
  sidecar(pod: Pod, more: Readonly<Record<string, string>>): Promise<Running & { readonly readyMs: number }>;
  stop(): Promise<void>;
}

export interface Pod {
  readonly name: string;
  readonly addresses: ReplicaAddresses;
}

export async function pod(name: string): Promise<Pod> {
  return { name, addresses: await addresses.take() };
}

function bundle(dist: string, name: string): string {
  const path = join(dist, `${name}.cjs`);
  if (!existsSync(path)) throw new Error(`${path} is not there: npm run build`);
  return path;
}

function flags(values: Readonly<Record<string, string>>): string[] {
  return Object.entries(values).flatMap(([name, value]) => [`--${name}`, value]);
}

/** The manifests of the mesh; JSON is YAML too. */
function manifests(pods: readonly object[], port: number, appProtocol = 'http'): string {
  const meta = (name: string) => ({ name, namespace: NAMESPACE });
  const items = [
    { apiVersion: 'v1', kind: 'Namespace', metadata: { name: NAMESPACE } },
    { apiVersion: 'v1', kind: 'ServiceAccount', metadata: meta('default') },
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: meta('app'),
      spec: {
        selector: { app: 'app' },
        clusterIP: '10.96.0.10',
        ports: [{ name: 'http', port: 80, targetPort: port, appProtocol }],
      },
    },
    ...pods,
  ];
  return JSON.stringify({ apiVersion: 'v1', kind: 'List', items }, null, 2);
}

function podObject(name: string, app: string, address: string, port: number, meshed: boolean): object {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name,
      namespace: NAMESPACE,
      labels: { app },
      annotations: { 'tulle.dev/inject': meshed ? 'enabled' : 'disabled' },
    },
    spec: {
      serviceAccountName: 'default',
      containers: [{ name: 'app', image: 'local', ports: [{ name: 'http', containerPort: port }] }],
    },
    status: {
      phase: 'Running',
      podIP: address,
      podIPs: [{ ip: address }],
      conditions: [{ type: 'Ready', status: 'True' }],
    },
  };
}

/** Starts a control plane on `manifest` and waits until it is ready. */
async function startMesh(folder: string, manifest: string, dist = DIST): Promise<Mesh> {
  const manifestFolder = join(folder, 'manifests');
  const state = join(folder, 'state');
  mkdirSync(manifestFolder, { recursive: true });
  mkdirSync(state, { recursive: true, mode: 0o700 });
  writeFileSync(join(manifestFolder, 'bench.json'), manifest);
  const address = await addresses.controlPlane();
  // Two meshes of one run share that address.
  const [xdsPort, adminPort] = [await freePort(address), await freePort(address)];
  const env = { NODE_COMPILE_CACHE: join(DIST, '..', '.tulle', 'bench-compile-cache') };
  const controlPlaneFlags = flags({
    folder: manifestFolder,
    'state-dir': state,
    'xds-address': `${address}:${xdsPort}`,
    'admin-address': `${address}:${adminPort}`,
  });
  const command = [process.execPath, bundle(dist, 'control-plane'), ...controlPlaneFlags] as const;
  const controlPlane = await start(command, join(folder, 'control-plane.log'), env);
  await untilAnswered({ address, port: adminPort }, '/readyz', 20);
  const tokens = new FolderTokens(loadTokenKey(state), systemClock);
  return {
    async sidecar({ name, addresses: own }, more) {
      const tokenFile = join(folder, `${name}.token`);
      writeFileSync(
        tokenFile,
        tokens.issue({ namespace: NAMESPACE, serviceAccount: 'default', pod: name }, TOKEN_LIFE_MS),
        { mode: 0o600 },
      );
      const ownAdminPort = await freePort(own.app);
      const sidecarFlags = flags({
        'control-plane': `${address}:${xdsPort}`,
        'ca-file': join(state, 'ca.pem'),
        'token-file': tokenFile,
        'pod-name': name,
        namespace: NAMESPACE,
        capture: 'explicit',
        outbound: 'none',
        inbound: 'none',
        'pod-address': own.pod,
        'app-address': own.app,
        'admin-address': `${own.app}:${ownAdminPort}`,
        'metrics-address': `${own.pod}:${PORTS.metrics}`,
        ...more,
      });
      const sidecarCommand = [process.execPath, ...SIDECAR_NODE_FLAGS, bundle(dist, 'proxy'), ...sidecarFlags] as const;
      const running = await start(sidecarCommand, join(folder, `${name}.log`), { ...env, ...SIDECAR_ENV });
      const readyMs = await untilAnswered({ address: own.app, port: ownAdminPort }, '/ready', 2);
      return { ...running, readyMs };
    },
    stop: () => controlPlane.stop(),
  };
}

const APP_PROTOCOL: Readonly<Record<Protocol, string>> = {
  http1: 'http',
  http2: 'kubernetes.io/h2c',
  grpc: 'grpc',
  bytes: 'tcp',
  connections: 'tcp',
};

/** @param dist where the bundles are; left out: our own */
export async function startTulle(scenario: Scenario, place: Place, dist = DIST): Promise<RunningPath> {
  const { application, folder } = place;
  const meshed = scenario.hops === 2;
  const client = await pod('client-1');
  // Without a sidecar the application itself is at the address that the mesh knows.
  const app: Pod = { name: 'app-1', addresses: { pod: (await pod('app-1')).addresses.pod, app: application.address } };
  const appAddress = meshed ? app.addresses.pod : application.address;
  const mesh = await startMesh(
    folder,
    manifests(
      [
        podObject(client.name, 'client', client.addresses.pod, 9999, true),
        podObject(app.name, 'app', appAddress, application.port, meshed),
      ],
      application.port,
      APP_PROTOCOL[scenario.protocol],
    ),
    dist,
  );
  const target = { address: client.addresses.app, port: PORTS.outbound, host: HOST };
  const listen = `${HOST}:80=${target.address}:${target.port}`;
  const sidecars = [await mesh.sidecar(client, { 'outbound-listen': listen })];
  if (meshed) sidecars.push(await mesh.sidecar(app, {}));
  await untilServed(scenario, target);
  return {
    target,
    pids: sidecars.map(({ pid }) => pid),
    async stop() {
      await Promise.all(sidecars.map((s) => s.stop()));
      await mesh.stop();
    },
  };
}

export interface SidecarSize {
  readonly readyMs: readonly number[];
  readonly idleMb: number;
}

/** Starts one idle sidecar `times` times beside a running control plane. The first start fills the compile cache and is not counted. */
export async function measureSidecar(folder: string, times: number): Promise<SidecarSize> {
  const own = await pod('idle-1');
  const mesh = await startMesh(folder, manifests([podObject(own.name, 'idle', own.addresses.pod, 9999, true)], 9999));
  const readyMs: number[] = [];
  let idleMb = Number.NaN;
  try {
    for (let i = 0; i <= times; i++) {
      const sidecar = await mesh.sidecar(own, {});
      if (i > 0) readyMs.push(sidecar.readyMs);
      if (i === times) {
        await new Promise((resolve) => setTimeout(resolve, 2000));
        idleMb = rssMb(sidecar.pid);
      }
      await sidecar.stop();
    }
  } finally {
    await mesh.stop();
  }
  return { readyMs, idleMb };
}
