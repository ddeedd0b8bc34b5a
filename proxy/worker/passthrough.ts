/**
 * HTTP to places outside the mesh, in explicit mode: the application named a host that the control plane does not know.
 * One cluster for each such host, bounded; the least recently used is dropped. Knows no listener.
 */
import type { ClusterConfig, RouteTableConfig } from '../config/snapshot.ts';
import { linkRouteTable, type RouteTable } from '../routing/table.ts';
import { Cluster, type ClusterEnv } from './cluster.ts';

const MAX_HOSTS = 500;
const CONNECT_TIMEOUT_MS = 10_000;

export interface PassthroughTarget {
  readonly table: RouteTable;
  readonly clusters: ReadonlyMap<string, Cluster>;
}

function clusterConfig(name: string, host: string, port: number): ClusterConfig {
  const endpoint = {
    address: host,
    port,
    healthy: true,
    weight: 1,
    zone: '',
    mtls: false,
    identity: '',
    workload: null,
  };
  return {
    name,
    discovery: 'original-dst',
    endpoints: { cluster: name, endpoints: [endpoint] },
    connectTimeoutMs: CONNECT_TIMEOUT_MS,
    balancer: { kind: 'round-robin' },
    peerIdentities: [],
    limits: { connections: 1024, pendingRequests: 1024, requests: 1024 },
    retryBudget: { percent: 20, minPerSecond: 10, intervalMs: 10_000 },
    http2: false,
    service: null,
  };
}

function tableConfig(name: string): RouteTableConfig {
  const clusters = [{ cluster: name, weight: 1, requestHeaders: null, responseHeaders: null }];
  return {
    name,
    virtualHosts: [
      {
        name,
        domains: ['*'],
        routes: [
          {
            name: 'passthrough',
            path: { kind: 'prefix', value: '/' },
            headers: [],
            query: [],
            requestHeaders: null,
            responseHeaders: null,
            action: {
              kind: 'forward',
              clusters,
              prefixRewrite: '',
              hostRewrite: '',
              timeoutMs: 0,
              idleTimeoutMs: 0,
              retry: null,
            },
          },
        ],
      },
    ],
  };
}

export class Passthrough {
  readonly #env: ClusterEnv;
  readonly #targets = new Map<string, PassthroughTarget>();

  constructor(env: ClusterEnv) {
    this.#env = env;
  }

  target(host: string, port: number): PassthroughTarget {
    const name = `passthrough|${host}:${port}`;
    const known = this.#targets.get(name);
    if (known !== undefined) {
      this.#targets.delete(name);
      this.#targets.set(name, known);
      return known;
    }
    const cluster = new Cluster(clusterConfig(name, host, port), this.#env);
    const target = { table: linkRouteTable(tableConfig(name)), clusters: new Map([[name, cluster]]) };
    this.#targets.set(name, target);
    this.#dropOldest();
    return target;
  }

  close(): void {
    for (const { clusters } of this.#targets.values()) for (const cluster of clusters.values()) cluster.close();
  }

  #dropOldest(): void {
    if (this.#targets.size <= MAX_HOSTS) return;
    for (const [name, { clusters }] of this.#targets) {
      this.#targets.delete(name);
      for (const cluster of clusters.values()) cluster.close();
      return;
    }
  }
}
