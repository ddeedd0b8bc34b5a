/**
 * What the worker has been told, so that only differences are posted and a reader can be shown the snapshot in force.
 * Knows nothing of why a resource may be published.
 */
import type { ChangeDraft } from '../../config/change.ts';
import type { ClusterConfig, EndpointsConfig, ListenerConfig, RouteTableConfig } from '../../config/snapshot.ts';
import type { Kind, View } from './references.ts';

export class Published implements View {
  readonly listeners = new Map<string, ListenerConfig>();
  readonly routes = new Map<string, RouteTableConfig>();
  readonly clusters = new Map<string, ClusterConfig>();
  readonly endpointSets = new Map<string, EndpointsConfig>();

  listener(name: string): ListenerConfig | undefined {
    return this.listeners.get(name);
  }

  route(name: string): RouteTableConfig | undefined {
    return this.routes.get(name);
  }

  cluster(name: string): ClusterConfig | undefined {
    return this.clusters.get(name);
  }

  endpoints(name: string): EndpointsConfig | undefined {
    return this.endpointSets.get(name);
  }

  /** Takes over what was received under `name`. Endpoints that do not exist are an empty set: the cluster is there, and has nobody. */
  put(received: View, kind: Kind, name: string, change: ChangeDraft): void {
    switch (kind) {
      case 'listener':
        return replace(this.listeners, change.listeners, name, received.listener(name));
      case 'route':
        return replace(this.routes, change.routes, name, received.route(name));
      case 'cluster':
        return replace(this.clusters, change.clusters, name, received.cluster(name));
      case 'endpoints':
        return replace(
          this.endpointSets,
          change.endpoints,
          name,
          received.endpoints(name) ?? { cluster: name, endpoints: [] },
        );
    }
  }

  /** Nobody needs it any more. */
  remove(kind: Kind, name: string, change: ChangeDraft): void {
    switch (kind) {
      case 'listener':
        return replace(this.listeners, change.listeners, name, null);
      case 'route':
        return replace(this.routes, change.routes, name, null);
      case 'cluster':
        return replace(this.clusters, change.clusters, name, null);
      case 'endpoints':
        return replace(this.endpointSets, change.endpoints, name, null);
    }
  }
}

function replace<T>(
  inForce: Map<string, T>,
  change: Map<string, T | null>,
  name: string,
  value: T | null | undefined,
): void {
  if (value) {
    inForce.set(name, value);
    change.set(name, value);
  } else if (inForce.delete(name)) change.set(name, null);
}
