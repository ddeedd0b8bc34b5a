/**
 * The state of a worker as plain data, for the admin pages. Holds no secret.
 * Knows no HTTP.
 */
import type { DestinationState, ListenerConfig } from '../config/snapshot.ts';
import type { Cluster } from './cluster.ts';
import type { Destinations } from './destinations.ts';
import type { IdentityMaterial } from './messages.ts';
import type { Runtime } from './runtime.ts';

export interface EndpointState {
  readonly address: string;
  readonly port: number;
  readonly healthy: boolean;
  readonly available: boolean;
  /** Why outlier detection keeps it out; empty: it does not. */
  readonly ejected: string;
  /** Why it fails its active health checks; empty: it does not, or there are none. */
  readonly failing: string;
  readonly weight: number;
  readonly zone: string;
  /** Not 0: it gets what those with lower numbers cannot take. */
  readonly priority: number;
  readonly mtls: boolean;
  readonly identity: string;
  readonly pod: string;
  readonly inFlight: number;
  /** Peak EWMA of the time to the answer's head, in milliseconds. */
  readonly latencyMs: number;
  readonly connections: number;
}

export interface ClusterState {
  readonly name: string;
  readonly balancer: string;
  readonly activeRequests: number;
  /** Requests that wait for a connection. */
  readonly pendingRequests: number;
  readonly connections: number;
  readonly endpoints: readonly EndpointState[];
}

export interface WorkerState {
  readonly identity: string;
  readonly listeners: readonly ListenerConfig[];
  readonly destinations: ReadonlyMap<string, DestinationState>;
  readonly clusters: readonly ClusterState[];
  readonly connections: { readonly inbound: number; readonly outbound: number };
}

function describeCluster(cluster: Cluster): ClusterState {
  const endpoints = [...cluster.endpoints].map((endpoint) => ({
    address: endpoint.target.address,
    port: endpoint.target.port,
    healthy: endpoint.config.healthy,
    available: endpoint.available && endpoint.passing,
    ejected: endpoint.observer?.reason ?? '',
    failing: endpoint.health?.why ?? '',
    weight: endpoint.config.weight,
    zone: endpoint.config.zone,
    priority: endpoint.config.priority ?? 0,
    mtls: endpoint.config.mtls,
    identity: endpoint.config.identity,
    pod: endpoint.config.workload?.pod ?? '',
    inFlight: endpoint.inFlight,
    latencyMs: Math.round(endpoint.latency.peekMs * 1000) / 1000,
    connections: endpoint.pool.connections,
  }));
  const { name, balancer } = cluster.config;
  const { pending, connections } = cluster.counts;
  return {
    name,
    balancer: balancer.kind,
    activeRequests: cluster.pod.requests.total,
    pendingRequests: pending.total,
    connections: connections.total,
    endpoints,
  };
}

/** The pod as a whole: what several workers have open, counted together; of the latencies that each has measured, the worst. */
export function mergeStates(states: readonly WorkerState[]): WorkerState {
  const clusters = Map.groupBy(
    states.flatMap((state) => state.clusters),
    ({ name }) => name,
  );
  const sum = (of: (state: WorkerState) => number): number => states.reduce((total, state) => total + of(state), 0);
  return {
    identity: states.find(({ identity }) => identity !== '')?.identity ?? '',
    listeners: states[0]?.listeners ?? [],
    destinations: new Map(states.flatMap((state) => [...state.destinations])),
    clusters: [...clusters.values()].map(mergeClusters),
    connections: {
      inbound: sum(({ connections }) => connections.inbound),
      outbound: sum(({ connections }) => connections.outbound),
    },
  };
}

/** Counts of a cluster are those of the pod already. */
function mergeClusters(parts: readonly ClusterState[]): ClusterState {
  const endpoints = Map.groupBy(
    parts.flatMap((part) => part.endpoints),
    ({ address, port, pod }) => `${address} ${port} ${pod}`,
  );
  return { ...parts[0]!, endpoints: [...endpoints.values()].map(mergeEndpoints) };
}

function mergeEndpoints(parts: readonly EndpointState[]): EndpointState {
  return {
    ...parts[0]!,
    available: parts.every(({ available }) => available),
    failing: parts.find(({ failing }) => failing !== '')?.failing ?? '',
    ejected: parts.find(({ ejected }) => ejected !== '')?.ejected ?? '',
    inFlight: parts.reduce((total, { inFlight }) => total + inFlight, 0),
    connections: parts.reduce((total, { connections }) => total + connections, 0),
    latencyMs: Math.max(...parts.map(({ latencyMs }) => latencyMs)),
  };
}

export function describeWorker(
  runtime: Runtime,
  destinations: Destinations,
  identity: IdentityMaterial | null,
  connections: WorkerState['connections'],
): WorkerState {
  return {
    identity: identity?.spiffeId ?? '',
    listeners: [...runtime.listeners.values()],
    destinations: destinations.states(),
    clusters: [...runtime.clusters.values()].map(describeCluster),
    connections,
  };
}
