/**
 * The World in force, changed by batches. Maps in which nothing changed keep their identity, so that whoever compiles can see what did not.
 * Knows no source and collects nothing over time.
 */
import { objectKey, type Kind } from '../kinds/meta.ts';
import { EMPTY_WORLD, type AnyObject, type ObjectEvent, type World } from './world.ts';

const MAP_OF = {
  Namespace: 'namespaces',
  ServiceAccount: 'serviceAccounts',
  Service: 'services',
  Deployment: 'deployments',
  Pod: 'pods',
  EndpointSlice: 'endpointSlices',
  HTTPRoute: 'httpRoutes',
  GRPCRoute: 'grpcRoutes',
  TLSRoute: 'tlsRoutes',
  TCPRoute: 'tcpRoutes',
  ReferenceGrant: 'referenceGrants',
  TrafficPolicy: 'trafficPolicies',
  ExternalService: 'externalServices',
  MeshPolicy: 'meshPolicies',
} as const satisfies Record<Kind, keyof World>;

export class WorldStore {
  #world: World;
  #version = 0;

  /** @param world what there is already */
  constructor(world: World = EMPTY_WORLD) {
    this.#world = world;
  }

  get world(): World {
    return this.#world;
  }

  /** Grows by one with each batch that changed something. */
  get version(): number {
    return this.#version;
  }

  /** Whether anything changed. The old World stays as it was. */
  apply(events: readonly ObjectEvent[]): boolean {
    const changed = new Map<keyof World, Map<string, AnyObject>>();
    for (const event of events) {
      const name = MAP_OF[event.type === 'set' ? event.object.kind : event.kind];
      const key = event.type === 'set' ? objectKey(event.object.meta) : event.key;
      const object = event.type === 'set' ? event.object : undefined;
      const current: ReadonlyMap<string, AnyObject> = changed.get(name) ?? this.#world[name];
      if (current.get(key) === object) continue;
      const copy = changed.get(name) ?? new Map<string, AnyObject>(current);
      changed.set(name, copy);
      if (object === undefined) copy.delete(key);
      else copy.set(key, object);
    }
    if (changed.size === 0) return false;
    this.#world = { ...this.#world, ...Object.fromEntries(changed) };
    this.#version++;
    return true;
  }
}
