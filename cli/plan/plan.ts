/**
 * What changes, and for whom, when objects are put over those that are there: compiled twice by the compiler that a mesh has, and
 * compared. Knows no file and starts nothing; how it is shown stands in text.ts.
 */
import { compile } from '../../control-plane/compile/compile.ts';
import { DEFAULT_COMPILE_OPTIONS, type Compiled } from '../../control-plane/compile/compiled.ts';
import {
  backendSettings,
  routeSettings,
  ruleNamed,
  type Setting,
} from '../../control-plane/compile/policies/provenance.ts';
import { objectKey } from '../../control-plane/kinds/meta.ts';
import { portKey, type Endpoint, type MeshService, type ServicePort } from '../../control-plane/model/mesh.ts';
import type { Route } from '../../control-plane/model/route.ts';
import { WorldStore } from '../../control-plane/sources/world-store.ts';
import type { AnyObject, ObjectEvent, World } from '../../control-plane/sources/world.ts';
import { troubleOf } from '../../control-plane/status/writer.ts';
import { differences, type Difference } from './differences.ts';
import { toldAnew, type Subscriber, type Told } from './sidecars.ts';

export interface ObjectChange {
  readonly object: string;
  readonly change: 'added' | 'changed' | 'removed';
  /** Of its spec and metadata, for one that is changed. */
  readonly differences: readonly Difference[];
  /** Where it is written now; null: nowhere. */
  readonly file: string | null;
  readonly line: number;
}

export interface SettingChange {
  /** As in a TrafficPolicy: `spec.timeouts.request`. */
  readonly path: string;
  readonly before: Setting | null;
  readonly after: Setting | null;
}

export interface RouteChange {
  readonly name: string;
  readonly change: 'added' | 'changed' | 'removed';
  readonly differences: readonly Difference[];
  readonly settings: readonly SettingChange[];
}

export interface PortChange {
  /** `shop/reviews:8080` */
  readonly port: string;
  readonly change: 'added' | 'changed' | 'removed';
  readonly protocol: { readonly before: string; readonly after: string };
  readonly routes: readonly RouteChange[];
  /** Of its connections. */
  readonly settings: readonly SettingChange[];
  readonly endpoints: { readonly added: number; readonly removed: number; readonly changed: number };
}

/** The shape of `tulle plan -o json`; fields are added, never renamed. */
export interface ChangePlan {
  readonly objects: readonly ObjectChange[];
  readonly unchanged: number;
  readonly ports: readonly PortChange[];
  /** What statuses complain of. */
  readonly trouble: { readonly appears: readonly string[]; readonly goes: readonly string[] };
  readonly sidecars: Told;
}

/**
 * @param base what there is
 * @param events what is put over it
 * @param subscribers of a mesh that runs; null: every workload may ask for everything
 */
export function planChange(
  base: World,
  events: readonly ObjectEvent[],
  clusterDomain: string,
  subscribers: readonly Subscriber[] | null,
): ChangePlan {
  const store = new WorldStore();
  store.apply(
    Object.values(base).flatMap((map) => [...map.values()].map((object) => ({ type: 'set', object }) as const)),
  );
  const worldBefore = store.world;
  store.apply(events);
  const options = { ...DEFAULT_COMPILE_OPTIONS, clusterDomain };
  const before = compile(worldBefore, options);
  const after = compile(store.world, options, before);
  const objects = events.flatMap((event) => objectChange(event, worldBefore));
  const [troubleBefore, troubleAfter] = [troubleOf(before.conditions), troubleOf(after.conditions)];
  return {
    objects,
    unchanged: events.length - objects.length,
    ports: portChanges(before, after),
    trouble: {
      appears: troubleAfter.filter((line) => !troubleBefore.includes(line)),
      goes: troubleBefore.filter((line) => !troubleAfter.includes(line)),
    },
    sidecars: toldAnew(before.mesh, after.mesh, store.world, subscribers),
  };
}

function objectChange(event: ObjectEvent, world: World): readonly ObjectChange[] {
  const kind = event.type === 'set' ? event.object.kind : event.kind;
  const key = event.type === 'set' ? objectKey(event.object.meta) : event.key;
  const old = find(world, kind, key);
  const object = `${kind} ${key}`;
  if (event.type === 'delete') {
    return old === undefined ? [] : [{ object, change: 'removed', differences: [], file: null, line: 0 }];
  }
  const { file, line } = event.object.place ?? { file: null, line: 0 };
  if (old === undefined) return [{ object, change: 'added', differences: [], file, line }];
  const found = differences(withoutPlace(old), withoutPlace(event.object));
  return found.length === 0 ? [] : [{ object, change: 'changed', differences: found, file, line }];
}

function find(world: World, kind: string, key: string): AnyObject | undefined {
  for (const map of Object.values(world) as ReadonlyMap<string, AnyObject>[]) {
    const object = map.get(key);
    if (object?.kind === kind) return object;
  }
  return undefined;
}

function withoutPlace({ place: _place, placeOf: _placeOf, ...object }: AnyObject): object {
  return object;
}

function portChanges(before: Compiled, after: Compiled): readonly PortChange[] {
  const ports = new Map<string, { old?: FoundPort; now?: FoundPort }>();
  for (const found of portsOf(before)) ports.set(found.key, { old: found });
  for (const found of portsOf(after)) ports.set(found.key, { ...ports.get(found.key), now: found });
  return [...ports]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .flatMap(([key, { old, now }]) => {
      const change = portChange(key, old, now);
      return isChanged(change) ? [change] : [];
    });
}

interface FoundPort {
  readonly key: string;
  readonly service: MeshService;
  readonly port: ServicePort;
  readonly endpoints: readonly Endpoint[];
  readonly world: World;
}

function portsOf({ mesh, world }: Compiled): readonly FoundPort[] {
  return [...mesh.services.values()].flatMap((service) =>
    service.ports.map((port) => {
      const key = portKey(service.namespace, service.name, port.port);
      return { key, service, port, endpoints: mesh.endpoints.get(key) ?? [], world };
    }),
  );
}

function portChange(key: string, old: FoundPort | undefined, now: FoundPort | undefined): PortChange {
  const change = old === undefined ? 'added' : now === undefined ? 'removed' : 'changed';
  return {
    port: key,
    change,
    protocol: { before: old?.port.protocol ?? '', after: now?.port.protocol ?? '' },
    routes: change === 'changed' ? routeChanges(old, now) : [],
    settings: change === 'changed' ? settingChanges(connectionSettings(old), connectionSettings(now)) : [],
    endpoints: endpointChanges(old?.endpoints ?? [], now?.endpoints ?? []),
  };
}

function isChanged({ change, protocol, routes, settings, endpoints }: PortChange): boolean {
  if (change !== 'changed' || protocol.before !== protocol.after) return true;
  const moved = endpoints.added + endpoints.removed + endpoints.changed;
  return routes.length + settings.length + moved > 0;
}

function connectionSettings(found: FoundPort | undefined): readonly Setting[] {
  const service = found?.world.services.get(`${found.service.namespace}/${found.service.name}`);
  return found === undefined || service === undefined ? [] : backendSettings(found.world, service, found.port.name);
}

function routeChanges(old: FoundPort | undefined, now: FoundPort | undefined): readonly RouteChange[] {
  const names = new Set([...(old?.port.routes ?? []), ...(now?.port.routes ?? [])].map(({ name }) => name));
  return [...names].flatMap((name): readonly RouteChange[] => {
    const [a, b] = [routesNamed(old, name), routesNamed(now, name)];
    const settings = settingChanges(settingsOf(old, a[0]), settingsOf(now, b[0]));
    if (a.length + b.length === 0) return [];
    if (a.length === 0) return [{ name, change: 'added', differences: [], settings: [] }];
    if (b.length === 0) return [{ name, change: 'removed', differences: [], settings: [] }];
    // Nearly always one on each side: its place in the list says nothing.
    const found = differences(a.map(withoutPolicy), b.map(withoutPolicy)).map(({ path, before, after }) => {
      return { path: path.replace(/^\[\d+\]\.?/, ''), before, after };
    });
    return found.length + settings.length === 0 ? [] : [{ name, change: 'changed', differences: found, settings }];
  });
}

/** Several matches of a rule are as many routes of its name; the one that ends a table with 404 is nobody's. */
function routesNamed(found: FoundPort | undefined, name: string): readonly Route[] {
  return (found?.port.routes ?? []).filter((route) => route.name === name && route.action.kind !== 'not-found');
}

function withoutPolicy({ policy: _policy, ...route }: Route): object {
  return route;
}

function settingsOf(found: FoundPort | undefined, route: Route | undefined): readonly Setting[] {
  const service = found?.world.services.get(`${found.service.namespace}/${found.service.name}`);
  if (found === undefined || service === undefined || route === undefined) return [];
  return routeSettings(found.world, service, found.port.name, ruleNamed(found.world, route.name, route.grpc));
}

function settingChanges(before: readonly Setting[], after: readonly Setting[]): readonly SettingChange[] {
  const old = new Map(before.map((setting) => [setting.path, setting]));
  const now = new Map(after.map((setting) => [setting.path, setting]));
  return [...new Set([...old.keys(), ...now.keys()])].flatMap((path) => {
    const [a, b] = [old.get(path) ?? null, now.get(path) ?? null];
    const same = differences(a?.value ?? null, b?.value ?? null).length === 0 && (a?.setBy ?? '') === (b?.setBy ?? '');
    return same ? [] : [{ path, before: a, after: b }];
  });
}

function endpointChanges(before: readonly Endpoint[], after: readonly Endpoint[]): PortChange['endpoints'] {
  const [old, now] = [byAddress(before), byAddress(after)];
  const kept = [...now].filter(([key]) => old.has(key));
  return {
    added: now.size - kept.length,
    removed: old.size - kept.length,
    changed: kept.filter(([key, one]) => differences(old.get(key), one).length > 0).length,
  };
}

function byAddress(endpoints: readonly Endpoint[]): ReadonlyMap<string, Endpoint> {
  return new Map(endpoints.map((one) => [`${one.address} ${one.port}`, one]));
}
