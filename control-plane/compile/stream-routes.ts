/**
 * TLSRoutes and TCPRoutes with Services as parents (GAMMA): where each is attached, which of two counts, and the status of each parent.
 * Unlike those of HTTP routes, hostnames count: they are what tells one handshake from another. Knows no endpoint.
 */
import { objectKey } from '../kinds/meta.ts';
import type { ParentRef } from '../kinds/route-references.ts';
import type { Service, ServicePortSpec } from '../kinds/service.ts';
import type { TcpRoute } from '../kinds/tcp-route.ts';
import type { TlsRoute } from '../kinds/tls-route.ts';
import type { StreamBackend, StreamRoute } from '../model/stream-route.ts';
import type { World } from '../sources/world.ts';
import { byAge, condition, objectStatus, type Condition, type ObjectStatus } from './conditions.ts';
import { grantTable } from './grants.ts';
import { attachablePorts, isServiceRef, parentNamespace, parentRef, refusedConditions } from './parents.ts';
import { mayCarryOpaque, mayCarryTls } from './protocols.ts';
import { resolveBackend, type Referents, type Unresolved } from './references.ts';
import type { AttachedRoutes } from './routes.ts';

type AnyRoute = TlsRoute | TcpRoute;

export interface AttachedStreams {
  /** By no order. */
  routesOf(service: Service, port: ServicePortSpec): readonly StreamRoute[];
  readonly statuses: readonly ObjectStatus[];
}

/** What one route leads to, seen from one parent. */
interface Backends {
  readonly resolved: readonly StreamBackend[];
  readonly unresolved: readonly Unresolved[];
  readonly unresolvedWeight: number;
}

const NOTHING: readonly StreamRoute[] = [];

/** @param http routes that take the place of a TCPRoute on their ports (GEP-1426: the more specific kind of route counts) */
export function attachStreams(world: World, http: AttachedRoutes): AttachedStreams {
  const referents: Referents = { services: world.services, grants: grantTable(world.referenceGrants) };
  const ports = new PortTable(http);
  const statuses: ObjectStatus[] = [];
  // TLSRoutes first, for they are the more specific ones; of one kind the older.
  const routes = [...[...world.tlsRoutes.values()].sort(byAge), ...[...world.tcpRoutes.values()].sort(byAge)];
  for (const route of routes) {
    const parents = route.spec.parentRefs.filter(isServiceRef).map((ref) => ({
      ref: parentRef(route, ref),
      conditions: attach(route, ref, referents, ports),
    }));
    if (parents.length > 0) statuses.push(objectStatus(route, { parents }));
  }
  return { routesOf: (service, port) => ports.of(service, port.port), statuses };
}

function attach(route: AnyRoute, ref: ParentRef, referents: Referents, table: PortTable): Condition[] {
  const key = `${parentNamespace(route, ref)}/${ref.name}`;
  const service = referents.services.get(key);
  if (service === undefined) return refusedConditions(route, `Service ${key} does not exist`);
  const ports =
    route.kind === 'TLSRoute'
      ? attachablePorts(service, ref, 'TLS', mayCarryTls)
      : attachablePorts(service, ref, 'opaque bytes', mayCarryOpaque);
  if (typeof ports === 'string') return refusedConditions(route, ports);
  const backends = backendsOf(route, service, referents);
  const losses: string[] = [];
  let isInForce = false;
  for (const { port } of ports) {
    const lost = table.add(route, service, port, backends);
    isInForce ||= lost.isInForce;
    losses.push(...lost.sentences);
  }
  return [...acceptance(route, isInForce, losses.join('; ')), resolution(route, backends)];
}

function acceptance(route: AnyRoute, isInForce: boolean, lost: string): Condition[] {
  if (!isInForce) return [condition(route, 'Accepted', false, 'Conflicted', lost)];
  const accepted = condition(route, 'Accepted', true, 'Accepted');
  return lost === '' ? [accepted] : [accepted, condition(route, 'Conflicted', true, 'Conflicted', lost)];
}

function resolution(route: AnyRoute, { unresolved }: Backends): Condition {
  const reasons = [...new Set(unresolved.map(({ message }) => message))];
  return unresolved[0] === undefined
    ? condition(route, 'ResolvedRefs', true, 'ResolvedRefs')
    : condition(route, 'ResolvedRefs', false, unresolved[0].reason, reasons.join('; '));
}

function backendsOf(route: AnyRoute, parent: Service, referents: Referents): Backends {
  const resolved: StreamBackend[] = [];
  const unresolved: Unresolved[] = [];
  let unresolvedWeight = 0;
  for (const ref of route.spec.rules.flatMap((rule) => rule.backendRefs)) {
    const backend = resolveBackend(ref, route, parent, referents);
    if (backend.ok) resolved.push({ ...backend.value, weight: ref.weight });
    else {
      unresolved.push(backend.error);
      unresolvedWeight += ref.weight;
    }
  }
  return { resolved, unresolved, unresolvedWeight };
}

/** What is attached to each port. Of two routes of one namespace the one that was added first counts. */
class PortTable {
  readonly #http: AttachedRoutes;
  readonly #byPort = new Map<string, { readonly source: AnyRoute; readonly route: StreamRoute }[]>();

  constructor(http: AttachedRoutes) {
    this.#http = http;
  }

  of(service: Service, port: number): readonly StreamRoute[] {
    return this.#byPort.get(keyOf(service, port))?.map(({ route }) => route) ?? NOTHING;
  }

  /** What of the route is not in force there, in sentences. */
  add(
    source: AnyRoute,
    service: Service,
    port: number,
    { resolved, unresolvedWeight }: Backends,
  ): { readonly isInForce: boolean; readonly sentences: readonly string[] } {
    const key = keyOf(service, port);
    const entries = this.#byPort.get(key) ?? [];
    const rivals = entries.filter((entry) => entry.source.meta.namespace === source.meta.namespace);
    // A route may name the same parent twice.
    if (rivals.some((rival) => rival.source === source)) return { isInForce: true, sentences: [] };
    const { free, sentences } =
      source.kind === 'TLSRoute' ? freeNames(source, rivals) : this.#free(source, service, port, rivals);
    if (free !== null && free.length === 0) return { isInForce: false, sentences };
    const { namespace, name } = source.meta;
    const consumerNamespace = namespace === service.meta.namespace ? null : namespace;
    const route = {
      name: `${namespace}/${name}`,
      consumerNamespace,
      serverNames: free,
      backends: resolved,
      unresolvedWeight,
    };
    this.#byPort.set(key, [...entries, { source, route }]);
    return { isInForce: true, sentences };
  }

  /** A TCPRoute takes all of a port, or nothing. */
  #free(source: TcpRoute, service: Service, port: number, rivals: readonly Rival[]): Freedom {
    const http = this.#http.byService
      .get(objectKey(service.meta))
      ?.find((a) => a.ports.has(port) && a.route.meta.namespace === source.meta.namespace);
    const winner = rivals[0]?.source ?? http?.route;
    if (winner === undefined) return { free: null, sentences: [] };
    const sentence = `${winner.kind} ${objectKey(winner.meta)} is attached to the same port: ${port}`;
    return { free: [], sentences: [sentence] };
  }
}

interface Rival {
  readonly source: AnyRoute;
  readonly route: StreamRoute;
}

interface Freedom {
  /** Null: everything. */
  readonly free: readonly string[] | null;
  readonly sentences: readonly string[];
}

function keyOf({ meta }: Service, port: number): string {
  return `${objectKey(meta)} ${port}`;
}

/** The names of a TLSRoute that no older one has taken. */
function freeNames({ spec }: TlsRoute, rivals: readonly Rival[]): Freedom {
  const sentences: string[] = [];
  const free = [...new Set(spec.hostnames)].filter((hostname) => {
    const winner = rivals.find(({ route }) => route.serverNames?.includes(hostname) === true);
    if (winner !== undefined) sentences.push(`${hostname} is taken by TLSRoute ${winner.route.name}`);
    return winner === undefined;
  });
  return { free, sentences };
}
