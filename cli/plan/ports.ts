/** What changes at the ports of Services and ExternalServices: routes, policy fields and who sets them, endpoints. Knows no sidecar. */
import type { Compiled } from '../../control-plane/compile/compiled.ts';
import {
  backendSettings,
  routeSettings,
  ruleNamed,
  type Setting,
} from '../../control-plane/compile/policies/provenance.ts';
import type { ExternalService } from '../../control-plane/kinds/external-service.ts';
import type { Service } from '../../control-plane/kinds/service.ts';
import { portKey, type Endpoint } from '../../control-plane/model/mesh.ts';
import type { Route } from '../../control-plane/model/route.ts';
import type { StreamRoute } from '../../control-plane/model/stream-route.ts';
import type { World } from '../../control-plane/sources/world.ts';
import { differences, type Difference } from './differences.ts';

export interface SettingChange {
  /** As in a TrafficPolicy: `spec.timeouts.request`. */
  readonly path: string;
  readonly before: Setting | null;
  readonly after: Setting | null;
}

export interface RouteChange {
  /** `namespace/route/rule`, `default`; of a TLSRoute or TCPRoute `namespace/route`. */
  readonly name: string;
  readonly change: 'added' | 'changed' | 'removed';
  readonly differences: readonly Difference[];
  readonly settings: readonly SettingChange[];
}

export interface PortChange {
  readonly kind: 'Service' | 'ExternalService';
  /** `shop/reviews:8080` */
  readonly port: string;
  readonly change: 'added' | 'changed' | 'removed';
  readonly protocol: { readonly before: string; readonly after: string };
  readonly routes: readonly RouteChange[];
  /** Of its connections. */
  readonly settings: readonly SettingChange[];
  /** Everything else: of an ExternalService hosts, addresses, TLS; of a Service its virtual addresses. */
  readonly differences: readonly Difference[];
  readonly endpoints: { readonly added: number; readonly removed: number; readonly changed: number };
}

/** In order of kind and name. */
export function portChanges(before: Compiled, after: Compiled): readonly PortChange[] {
  const ports = new Map<string, { old?: FoundPort; now?: FoundPort }>();
  for (const found of portsOf(before)) ports.set(found.id, { old: found });
  for (const found of portsOf(after)) ports.set(found.id, { ...ports.get(found.id), now: found });
  return [...ports]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .flatMap(([, { old, now }]) => {
      const change = portChange(old, now);
      return change !== null && isChanged(change) ? [change] : [];
    });
}

interface FoundPort {
  /** Sorts Services first. */
  readonly id: string;
  readonly kind: PortChange['kind'];
  readonly key: string;
  readonly name: string;
  readonly protocol: string;
  readonly object: Service | ExternalService | undefined;
  readonly routes: readonly Route[];
  readonly streamRoutes: readonly StreamRoute[];
  readonly endpoints: readonly Endpoint[];
  /** What is compared member by member and shown as it is. */
  readonly rest: object;
  readonly world: World;
}

function portsOf({ mesh, world }: Compiled): readonly FoundPort[] {
  const services = [...mesh.services.values()].flatMap(({ namespace, name, addresses, headless, ports }) =>
    ports.map(({ routes, streamRoutes, ...port }): FoundPort => {
      const key = portKey(namespace, name, port.port);
      return {
        id: `0 ${key}`,
        kind: 'Service',
        key,
        name: port.name,
        protocol: port.protocol,
        object: world.services.get(`${namespace}/${name}`),
        routes,
        streamRoutes,
        endpoints: mesh.endpoints.get(key) ?? [],
        rest: { addresses, headless, name: port.name },
        world,
      };
    }),
  );
  const externals = [...mesh.externals.values()].flatMap(({ namespace, name, resolution, addresses, ports }) =>
    ports.map((port): FoundPort => {
      const key = portKey(namespace, name, port.port);
      const { hosts, captured, targetPort, tls } = port;
      return {
        id: `1 ${key}`,
        kind: 'ExternalService',
        key,
        name: port.name,
        protocol: port.protocol,
        object: world.externalServices.get(`${namespace}/${name}`),
        routes: [],
        streamRoutes: [],
        endpoints: [],
        rest: { name: port.name, resolution, addresses, hosts, captured, targetPort, tls },
        world,
      };
    }),
  );
  return [...services, ...externals];
}

function portChange(old: FoundPort | undefined, now: FoundPort | undefined): PortChange | null {
  const found = now ?? old;
  if (found === undefined) return null;
  const both = old !== undefined && now !== undefined;
  return {
    kind: found.kind,
    port: found.key,
    change: both ? 'changed' : old === undefined ? 'added' : 'removed',
    protocol: { before: old?.protocol ?? '', after: now?.protocol ?? '' },
    routes: both ? [...routeChanges(old, now), ...streamRouteChanges(old, now)] : [],
    settings: both ? settingChanges(portSettings(old), portSettings(now)) : [],
    differences: both ? differences(old.rest, now.rest) : [],
    endpoints: endpointChanges(old?.endpoints ?? [], now?.endpoints ?? []),
  };
}

function isChanged({ change, protocol, routes, settings, differences: rest, endpoints }: PortChange): boolean {
  if (change !== 'changed' || protocol.before !== protocol.after) return true;
  const moved = endpoints.added + endpoints.removed + endpoints.changed;
  return routes.length + settings.length + rest.length + moved > 0;
}

/** An ExternalService has no routes: what a route's policy says is its own. */
function portSettings({ kind, object, name, world }: FoundPort): readonly Setting[] {
  if (object === undefined) return [];
  const own = backendSettings(world, object, name);
  return kind === 'Service' ? own : [...routeSettings(world, object, name, null), ...own];
}

function routeChanges(old: FoundPort, now: FoundPort): readonly RouteChange[] {
  const names = new Set([...old.routes, ...now.routes].filter(isSomebodys).map(({ name }) => name));
  return [...names].flatMap((name): readonly RouteChange[] => {
    const [a, b] = [routesNamed(old, name), routesNamed(now, name)];
    const [from, to] = [a[0], b[0]];
    if (from === undefined || to === undefined) return [cameOrWent(name, to === undefined)];
    const settings = settingChanges(settingsOf(old, from), settingsOf(now, to));
    const found = listDifferences(a.map(withoutPolicy), b.map(withoutPolicy));
    return found.length + settings.length === 0 ? [] : [{ name, change: 'changed', differences: found, settings }];
  });
}

function streamRouteChanges(old: FoundPort, now: FoundPort): readonly RouteChange[] {
  const names = new Set([...old.streamRoutes, ...now.streamRoutes].map(({ name }) => name));
  return [...names].flatMap((name): readonly RouteChange[] => {
    const [a, b] = [old, now].map(({ streamRoutes }) => streamRoutes.filter((route) => route.name === name));
    if (a?.length === 0 || b?.length === 0) return [cameOrWent(name, b?.length === 0)];
    const found = listDifferences(a ?? [], b ?? []);
    return found.length === 0 ? [] : [{ name, change: 'changed', differences: found, settings: [] }];
  });
}

/** Of routes of one name. Nearly always there is one on each side, so that its place in the list says nothing. */
function listDifferences(before: readonly object[], after: readonly object[]): readonly Difference[] {
  return differences(before, after).map(({ path, before: old, after: now }) => {
    return { path: path.replace(/^\[\d+\]\.?/, ''), before: old, after: now };
  });
}

function cameOrWent(name: string, isGone: boolean): RouteChange {
  return { name, change: isGone ? 'removed' : 'added', differences: [], settings: [] };
}

/** Several matches of a rule are as many routes of its name. */
function routesNamed(found: FoundPort, name: string): readonly Route[] {
  return found.routes.filter((route) => route.name === name && isSomebodys(route));
}

/** The one that ends a table with 404 is nobody's. */
function isSomebodys({ action }: Route): boolean {
  return action.kind !== 'not-found';
}

function withoutPolicy({ policy: _policy, ...route }: Route): object {
  return route;
}

function settingsOf({ object, name, world }: FoundPort, route: Route): readonly Setting[] {
  return object === undefined ? [] : routeSettings(world, object, name, ruleNamed(world, route.name, route.grpc));
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
