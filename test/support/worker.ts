/**
 * A real worker in this process, told its configuration directly: no control plane, no supervisor.
 * Test-only.
 */
import { systemClock } from '#base/clock.ts';
import { silentLogger } from '#base/log.ts';
import { seededRandom } from '#base/random.ts';
import { inboundCluster } from '#api/names.ts';
import type { RetryConfig } from '../../proxy/config/retries.ts';
import type {
  ClusterConfig,
  EndpointConfig,
  FilterChainConfig,
  ForwardConfig,
  ListenerConfig,
  RouteConfig,
  RouteTableConfig,
  TcpNetworkConfig,
} from '../../proxy/config/snapshot.ts';
import { DEFAULT_PATIENCE } from '../../proxy/downstream/patience.ts';
import { MetricRegistry } from '../../proxy/telemetry/metrics.ts';
import type { FromWorker, IdentityMaterial, SnapshotChange, WorkerSettings } from '../../proxy/worker/messages.ts';
import { Worker } from '../../proxy/worker/worker.ts';

export const DEFAULT_RETRY: RetryConfig = {
  attempts: 2,
  on: ['connect-failure', 'refused-stream'],
  statuses: [],
  perTryTimeoutMs: 0,
  methods: [],
  idempotencyKeyHeader: '',
  safeResets: true,
  backoffBaseMs: 1,
  backoffMaxMs: 5,
};

export function endpoint(port: number, more: Partial<EndpointConfig> = {}): EndpointConfig {
  return {
    address: '127.0.0.1',
    port,
    healthy: true,
    weight: 1,
    zone: '',
    mtls: false,
    identity: '',
    workload: { namespace: 'default', pod: `pod-${port}`, owner: 'echo' },
    ...more,
  };
}

export function cluster(
  name: string,
  endpoints: readonly EndpointConfig[],
  more: Partial<ClusterConfig> = {},
): ClusterConfig {
  return {
    name,
    discovery: 'eds',
    endpoints: { cluster: name, endpoints },
    connectTimeoutMs: 500,
    balancer: { kind: 'round-robin' },
    peerIdentities: [],
    limits: { connections: 1024, pendingRequests: 1024, requests: 1024 },
    retryBudget: { percent: 20, minPerSecond: 100, intervalMs: 10_000 },
    http2: false,
    service: { namespace: 'default', name: 'echo', port: 80 },
    ...more,
  };
}

export function route(
  clusterName: string,
  more: Partial<ForwardConfig> = {},
  base: Partial<RouteConfig> = {},
): RouteConfig {
  return {
    name: 'default',
    path: { kind: 'prefix', value: '/' },
    headers: [],
    query: [],
    requestHeaders: null,
    responseHeaders: null,
    action: {
      kind: 'forward',
      clusters: [{ cluster: clusterName, weight: 1, requestHeaders: null, responseHeaders: null }],
      prefixRewrite: '',
      hostRewrite: '',
      timeoutMs: 0,
      idleTimeoutMs: 0,
      retry: DEFAULT_RETRY,
      ...more,
    },
    ...base,
  };
}

export function table(name: string, routes: readonly RouteConfig[]): RouteTableConfig {
  return { name, virtualHosts: [{ name, domains: ['*'], routes }] };
}

export function httpListener(name: string, fallback: TcpNetworkConfig | null = null): ListenerConfig {
  const chain: FilterChainConfig = {
    name,
    destinationPort: null,
    transport: null,
    mtls: false,
    network: { kind: 'http', statPrefix: name, routes: name, fallback },
  };
  return { ...outboundListener(name), chains: [chain] };
}

/** An outbound listener without a chain. */
export function outboundListener(name: string): ListenerConfig {
  return { name, direction: 'outbound', address: '0.0.0.0', port: 80, chains: [], serverNames: [], service: null };
}

/** Opaque bytes to a cluster. */
export function tcpNetwork(cluster: string, more: Partial<TcpNetworkConfig> = {}): TcpNetworkConfig {
  return {
    kind: 'tcp',
    name: 'tcp',
    statPrefix: cluster,
    clusters: [{ cluster, weight: 1 }],
    idleTimeoutMs: 0,
    connectAttempts: 3,
    ...more,
  };
}

export function tcpListener(name: string, more: Partial<TcpNetworkConfig> = {}): ListenerConfig {
  const chain: FilterChainConfig = {
    name,
    destinationPort: null,
    transport: null,
    mtls: false,
    network: tcpNetwork(name, more),
  };
  return { ...outboundListener(name), chains: [chain] };
}

/** The `inbound` listener for one port of the application. */
export function inboundListener(port: number, mode: 'PERMISSIVE' | 'STRICT', opaque = false): ListenerConfig {
  const name = inboundCluster(port);
  const routes = table(name, [route(name, { retry: null })]);
  const network = opaque ? tcpNetwork(name) : ({ kind: 'http', statPrefix: name, routes, fallback: null } as const);
  const tls: FilterChainConfig = { name: `${name}-tls`, destinationPort: port, transport: 'tls', mtls: true, network };
  const raw: FilterChainConfig = {
    name: `${name}-raw`,
    destinationPort: port,
    transport: 'raw_buffer',
    mtls: false,
    network,
  };
  const chains = mode === 'STRICT' ? [tls] : [tls, raw];
  return {
    name: 'inbound',
    direction: 'inbound',
    address: '0.0.0.0',
    port: 15006,
    chains,
    serverNames: [],
    service: null,
  };
}

export function change(parts: Partial<SnapshotChange>): SnapshotChange {
  return {
    listeners: new Map(),
    routes: new Map(),
    clusters: new Map(),
    endpoints: new Map(),
    trust: undefined,
    destinations: new Map(),
    ...parts,
  };
}

/** Listener, routes and cluster of one destination, and that it is ready. */
export function destination(
  name: string,
  clusterConfig: ClusterConfig,
  routes?: readonly RouteConfig[],
): SnapshotChange {
  return change({
    clusters: new Map([[clusterConfig.name, clusterConfig]]),
    routes: new Map([[name, table(name, routes ?? [route(clusterConfig.name)])]]),
    listeners: new Map([[name, httpListener(name)]]),
    destinations: new Map([[name, 'ready' as const]]),
  });
}

/** Listener and cluster of one destination of opaque bytes, and that it is ready. */
export function opaqueDestination(
  name: string,
  clusterConfig: ClusterConfig,
  more: Partial<TcpNetworkConfig> = {},
): SnapshotChange {
  return change({
    clusters: new Map([[clusterConfig.name, clusterConfig]]),
    listeners: new Map([
      [name, tcpListener(name, { clusters: [{ cluster: clusterConfig.name, weight: 1 }], ...more })],
    ]),
    destinations: new Map([[name, 'ready' as const]]),
  });
}

export function settings(more: Partial<WorkerSettings> = {}): WorkerSettings {
  return {
    captureMode: 'explicit',
    outbound: { address: '127.0.0.1', port: 0 },
    inbound: null,
    podAddresses: ['127.0.0.1'],
    appAddress: '127.0.0.1',
    explicitListens: [],
    unknownDestinations: 'refuse',
    dns: { servers: [], hostsFile: '', minTtlMs: 0, maxTtlMs: 300_000 },
    destinationIdleMs: 300_000,
    limits: {
      maxHeadBytes: 65_536,
      maxFields: 100,
      maxTargetBytes: 32_768,
      maxBodyBytes: 0,
      maxConnections: 10_000,
      headTimeoutMs: 10_000,
      patience: DEFAULT_PATIENCE,
      bufferBytes: 65_536,
    },
    accessLog: 'off',
    accessLogPath: '',
    drainDeadlineMs: 5000,
    pod: { namespace: 'default', name: 'client-1', owner: 'client', serviceAccount: 'client' },
    trustDomain: 'cluster.local',
    downstreamIdleMs: 3_600_000,
    appIdleMs: 3000,
    peerIdleMs: 60_000,
    keepAliveMs: 30_000,
    ...more,
  };
}

export interface TestWorker {
  readonly worker: Worker;
  readonly registry: MetricRegistry;
  readonly messages: FromWorker[];
  /** Port of the listener called `what`: a destination's name, `outbound`, or `inbound`; waits until it listens. */
  port(what: string): Promise<number>;
  /** Waits for a message that fits. */
  message(fits: (message: FromWorker) => boolean): Promise<FromWorker>;
  apply(change: SnapshotChange): void;
  close(): Promise<void>;
}

/** Starts a worker. `answers` are given at once when the destination is asked for; others stay pending until `apply`. */
export async function startWorker(
  more: Partial<WorkerSettings> = {},
  answers: ReadonlyMap<string, SnapshotChange | 'unknown'> = new Map(),
): Promise<TestWorker> {
  const messages: FromWorker[] = [];
  const watchers = new Set<() => void>();
  const registry = new MetricRegistry();
  const post = (message: FromWorker): void => {
    messages.push(message);
    if (message.kind === 'want') {
      const answer = answers.get(message.destination);
      if (answer === 'unknown') {
        worker.receive({
          kind: 'change',
          change: change({ destinations: new Map([[message.destination, 'unknown']]) }),
        });
      } else if (answer !== undefined) worker.receive({ kind: 'change', change: answer });
    }
    for (const watcher of watchers) watcher();
  };
  const worker: Worker = new Worker(settings(more), {
    clock: systemClock,
    random: seededRandom(1),
    log: silentLogger,
    registry,
    memory: null,
    post,
  });
  const problems = await worker.open();
  if (problems.length > 0) throw new Error(problems.join('; '));
  const message = (fits: (m: FromWorker) => boolean): Promise<FromWorker> =>
    new Promise((resolve) => {
      const look = (): void => {
        const found = messages.find(fits);
        if (found === undefined) return;
        watchers.delete(look);
        resolve(found);
      };
      watchers.add(look);
      look();
    });
  return {
    worker,
    registry,
    messages,
    message,
    port: async (what) => {
      const found = await message((m) => m.kind === 'listening' && m.what === what);
      return found.kind === 'listening' ? found.port : 0;
    },
    apply: (c) => worker.receive({ kind: 'change', change: c }),
    close: () => worker.close(),
  };
}

export function identityMessage(identity: IdentityMaterial): { kind: 'identity'; identity: IdentityMaterial } {
  return { kind: 'identity', identity };
}
