/**
 * What a resource refers to, and everything that a destination needs: listener, route tables, clusters, endpoints.
 * Pure functions over plain configuration.
 */
import type {
  ForwardConfig,
  ClusterConfig,
  EndpointsConfig,
  ListenerConfig,
  RouteTableConfig,
  TcpNetworkConfig,
} from '../../config/snapshot.ts';

export type Kind = 'listener' | 'route' | 'cluster' | 'endpoints';

/** What is known by name; null: does not exist; undefined: not known yet. */
export interface View {
  listener(name: string): ListenerConfig | null | undefined;
  route(name: string): RouteTableConfig | null | undefined;
  cluster(name: string): ClusterConfig | null | undefined;
  endpoints(name: string): EndpointsConfig | null | undefined;
}

/** A resource as a key of maps. */
export type ResourceKey = `${Kind} ${string}`;

export function keyOf(kind: Kind, name: string): ResourceKey {
  return `${kind} ${name}`;
}

export function partsOf(key: ResourceKey): { readonly kind: Kind; readonly name: string } {
  const space = key.indexOf(' ');
  return { kind: key.slice(0, space) as Kind, name: key.slice(space + 1) };
}

/** Route tables and clusters that a listener names itself. */
export function refsOfListener(listener: ListenerConfig): readonly ResourceKey[] {
  const refs: ResourceKey[] = [];
  for (const { network } of listener.chains) {
    if (network.kind === 'tcp') refs.push(...refsOfProxy(network));
    else {
      if (network.fallback !== null) refs.push(...refsOfProxy(network.fallback));
      if (typeof network.routes === 'string') refs.push(keyOf('route', network.routes));
      else refs.push(...refsOfTable(network.routes));
    }
  }
  for (const { network } of listener.serverNames) refs.push(...refsOfProxy(network));
  return refs;
}

function refsOfProxy({ clusters }: TcpNetworkConfig): ResourceKey[] {
  return clusters.map(({ cluster }) => keyOf('cluster', cluster));
}

/** Clusters that a route table can choose. */
export function refsOfTable(table: RouteTableConfig): readonly ResourceKey[] {
  return table.virtualHosts
    .flatMap((host) => host.routes)
    .flatMap(({ action }) =>
      action.kind === 'forward' ? [action.clusters, action.mirrors ?? [], fallbackOf(action)] : [],
    )
    .flat()
    .map(({ cluster }) => keyOf('cluster', cluster));
}

/** The direct references of any resource, as far as it is known. */
export function refsOf(view: View, key: ResourceKey): readonly ResourceKey[] {
  const { kind, name } = partsOf(key);
  switch (kind) {
    case 'listener': {
      const listener = view.listener(name);
      return listener ? refsOfListener(listener) : [];
    }
    case 'route': {
      const table = view.route(name);
      return table ? refsOfTable(table) : [];
    }
    case 'cluster':
      return view.cluster(name)?.discovery === 'eds' ? [keyOf('endpoints', name)] : [];
    case 'endpoints':
      return [];
  }
}

/** Adds `key` and everything below it to `into`. */
export function addClosure(view: View, key: ResourceKey, into: Set<ResourceKey>): void {
  if (into.has(key)) return;
  into.add(key);
  for (const ref of refsOf(view, key)) addClosure(view, ref, into);
}

function fallbackOf({ fallback }: ForwardConfig): readonly { readonly cluster: string }[] {
  return fallback?.kind === 'cluster' ? [fallback] : [];
}
