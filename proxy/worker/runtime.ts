/**
 * The snapshot, linked: what changed is made anew, everything else stays as it is with its pools and counters.
 * Exchanges hold the route and cluster they began with, and a cluster that changes keeps what waits for it. Knows no socket.
 */
import type { ListenerConfig, RouteTableConfig } from '../config/snapshot.ts';
import { linkRouteTable, type RouteTable } from '../routing/table.ts';
import { Cluster, type ClusterEnv } from './cluster.ts';
import type { NameResolver } from '../resolve/resolver.ts';
import type { SnapshotChange } from './messages.ts';
import { ResolvedClusters } from './resolved-clusters.ts';

const EMPTY_TABLE: RouteTable = linkRouteTable({ name: '', virtualHosts: [] });

export class Runtime {
  readonly #env: ClusterEnv;
  readonly #listeners = new Map<string, ListenerConfig>();
  readonly #tables = new Map<string, RouteTable>();
  readonly #inline = new WeakMap<RouteTableConfig, RouteTable>();
  readonly #clusters = new Map<string, Cluster>();
  readonly #resolved: ResolvedClusters;

  constructor(env: ClusterEnv, resolver: NameResolver) {
    this.#env = env;
    this.#resolved = new ResolvedClusters(resolver);
  }

  get clusters(): ReadonlyMap<string, Cluster> {
    return this.#clusters;
  }

  get listeners(): ReadonlyMap<string, ListenerConfig> {
    return this.#listeners;
  }

  listener(name: string): ListenerConfig | undefined {
    return this.#listeners.get(name);
  }

  cluster(name: string): Cluster | undefined {
    return this.#clusters.get(name);
  }

  /** The table of a filter chain; asked anew for each request, so that a change is in force for the next one. */
  table(routes: string | RouteTableConfig): RouteTable {
    return typeof routes === 'string' ? (this.#tables.get(routes) ?? EMPTY_TABLE) : this.#inlineTable(routes);
  }

  /** Applies one batch: first what is referred to, then what refers to it. */
  apply(change: SnapshotChange): void {
    for (const [name, config] of change.clusters) {
      const before = this.#clusters.get(name);
      if (config === null) {
        before?.remove();
        this.#clusters.delete(name);
      } else if (before === undefined) this.#clusters.set(name, new Cluster(config, this.#env));
      else if (before.config !== config) before.update(config);
      this.#resolved.follow(name, this.#clusters.get(name) ?? null);
    }
    for (const [name, endpoints] of change.endpoints) {
      this.#clusters.get(name)?.setEndpoints(endpoints ?? { cluster: name, endpoints: [] });
    }
    for (const [name, config] of change.routes) {
      if (config === null) this.#tables.delete(name);
      else this.#tables.set(name, linkRouteTable(config));
    }
    for (const [name, config] of change.listeners) {
      if (config === null) this.#listeners.delete(name);
      else this.#listeners.set(name, config);
    }
  }

  /** What another worker found of an endpoint. @param why it fails its checks; empty: it passes */
  tellHealth(cluster: string, endpoint: string, why: string): void {
    this.#clusters.get(cluster)?.tellHealth(endpoint, why);
  }

  slideBudgets(nowMs: number): void {
    for (const cluster of this.#clusters.values()) cluster.slideBudget(nowMs);
  }

  close(): void {
    for (const cluster of this.#clusters.values()) cluster.remove();
  }

  #inlineTable(config: RouteTableConfig): RouteTable {
    const known = this.#inline.get(config);
    if (known !== undefined) return known;
    const table = linkRouteTable(config);
    this.#inline.set(config, table);
    return table;
  }
}
