/**
 * A change of the snapshot while it is put together, and a snapshot with a change applied.
 * Knows neither where changes come from nor who gets them.
 */
import type {
  ClusterConfig,
  EndpointsConfig,
  ListenerConfig,
  RouteTableConfig,
  Snapshot,
  TrustConfig,
} from './snapshot.ts';

/** By resource name; null: gone. Has the shape of `SnapshotChange` and is posted as it is. */
export interface ChangeDraft {
  readonly listeners: Map<string, ListenerConfig | null>;
  readonly routes: Map<string, RouteTableConfig | null>;
  readonly clusters: Map<string, ClusterConfig | null>;
  readonly endpoints: Map<string, EndpointsConfig | null>;
  /** Undefined: as before. */
  trust: TrustConfig | null | undefined;
  readonly destinations: Map<string, 'ready' | 'unknown' | 'released'>;
}

export function newChange(): ChangeDraft {
  return {
    listeners: new Map(),
    routes: new Map(),
    clusters: new Map(),
    endpoints: new Map(),
    trust: undefined,
    destinations: new Map(),
  };
}

export function isEmptyChange(change: ChangeDraft): boolean {
  const { listeners, routes, clusters, endpoints, trust, destinations } = change;
  return trust === undefined && listeners.size + routes.size + clusters.size + endpoints.size + destinations.size === 0;
}

/** The snapshot after the change; maps without change keep their identity, and so does each resource. */
export function applyChange(snapshot: Snapshot, change: Readonly<Omit<ChangeDraft, 'destinations'>>): Snapshot {
  return {
    listeners: applyMap(snapshot.listeners, change.listeners),
    routes: applyMap(snapshot.routes, change.routes),
    clusters: applyMap(snapshot.clusters, change.clusters),
    endpoints: applyMap(snapshot.endpoints, change.endpoints),
    trust: change.trust === undefined ? snapshot.trust : change.trust,
  };
}

function applyMap<T>(before: ReadonlyMap<string, T>, change: ReadonlyMap<string, T | null>): ReadonlyMap<string, T> {
  if (change.size === 0) return before;
  const after = new Map(before);
  for (const [name, value] of change) {
    if (value === null) after.delete(name);
    else after.set(name, value);
  }
  return after;
}
