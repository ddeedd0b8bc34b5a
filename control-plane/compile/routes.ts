/**
 * Routes with Services as parents (GAMMA, GEP-1324): which route is attached where, what the routes of one Service port
 * are together, and the status of each parent. Hostnames do not count there. Knows no endpoint.
 */
import type { GrpcRoute } from '../kinds/grpc-route.ts';
import type { HttpRoute } from '../kinds/http-route.ts';
import { objectKey } from '../kinds/meta.ts';
import type { ParentRef } from '../kinds/route-references.ts';
import type { Service, ServicePortSpec } from '../kinds/service.ts';
import { DEFAULT_ROUTE_POLICY } from '../model/policy.ts';
import type { Route } from '../model/route.ts';
import type { World } from '../sources/world.ts';
import { byAge, condition, objectStatus, type Condition, type ObjectStatus, type ParentStatus } from './conditions.ts';
import { grantTable } from './grants.ts';
import { EVERYTHING } from './matches.ts';
import { attachablePorts, isServiceRef, parentNamespace, parentRef, refusedConditions } from './parents.ts';
import { routePolicy } from './policies/in-force.ts';
import { settler, type Losses } from './policies/settle.ts';
import type { PolicyTable } from './policies/targets.ts';
import { byPrecedence, type Ranked } from './precedence.ts';
import { mayCarryHttp } from './protocols.ts';
import type { Referents } from './references.ts';
import { compileRules, type CompiledRule } from './rules.ts';

type AnyRoute = HttpRoute | GrpcRoute;

/** A route on a Service, with its rules as seen from there. */
interface Attachment {
  readonly route: AnyRoute;
  readonly service: Service;
  /** Where it is in force. */
  readonly ports: ReadonlySet<number>;
  /** Where a GRPCRoute takes its place. */
  readonly lostPorts: readonly number[];
  readonly rules: readonly CompiledRule[];
}

export interface AttachedRoutes {
  /** By `namespace/name` of the Service, the older route first. */
  readonly byService: ReadonlyMap<string, readonly Attachment[]>;
  readonly statuses: readonly ObjectStatus[];
}

export function attachRoutes({ httpRoutes, grpcRoutes, services, referenceGrants }: World): AttachedRoutes {
  const referents: Referents = { services, grants: grantTable(referenceGrants) };
  const routes = [...httpRoutes.values(), ...grpcRoutes.values()].sort(byAge);
  const attempts = routes.map((route) => ({
    route,
    parents: route.spec.parentRefs
      .filter(isServiceRef)
      .map((ref) => ({ ref, attachment: attach(route, ref, referents) })),
  }));
  const found = attempts.flatMap(({ parents }) => parents.flatMap(({ attachment }) => attached(attachment)));
  const settle = withoutGrpcPorts(found);
  const attachments: Attachment[] = [];
  const statuses: ObjectStatus[] = [];
  for (const { route, parents } of attempts) {
    const told = parents.map(({ ref, attachment }): ParentStatus => {
      const [settled] = attached(attachment).map(settle);
      if (settled !== undefined) attachments.push(settled);
      const conditions =
        typeof attachment === 'string'
          ? refusedConditions(route, attachment)
          : attachedConditions(settled ?? attachment);
      return { ref: parentRef(route, ref), conditions };
    });
    if (told.length > 0) statuses.push(objectStatus(route, { parents: told }));
  }
  return { byService: Map.groupBy(attachments, ({ service }) => objectKey(service.meta)), statuses };
}

function attached(attachment: Attachment | string): Attachment[] {
  return typeof attachment === 'string' ? [] : [attachment];
}

/** GEP-1426, route types: where GRPCRoutes and HTTPRoutes are attached to the same parent, the HTTPRoutes are ignored. Each namespace for itself. */
function withoutGrpcPorts(all: readonly Attachment[]): (attachment: Attachment) => Attachment {
  const key = ({ route, service }: Attachment, port: number): string =>
    `${route.meta.namespace} ${objectKey(service.meta)}:${port}`;
  const taken = new Set(
    all
      .filter(({ route }) => route.kind === 'GRPCRoute')
      .flatMap((attachment) => [...attachment.ports].map((port) => key(attachment, port))),
  );
  return (attachment) => {
    if (attachment.route.kind === 'GRPCRoute') return attachment;
    const [kept, lost] = [true, false].map((keep) =>
      [...attachment.ports].filter((port) => taken.has(key(attachment, port)) !== keep),
    );
    return { ...attachment, ports: new Set(kept), lostPorts: lost ?? [] };
  };
}

/** The attachment, or the sentence that says why there is none. */
function attach(route: AnyRoute, ref: ParentRef, referents: Referents): Attachment | string {
  const key = `${parentNamespace(route, ref)}/${ref.name}`;
  const service = referents.services.get(key);
  if (service === undefined) return `Service ${key} does not exist`;
  const ports = attachablePorts(service, ref, 'HTTP', mayCarryHttp);
  if (typeof ports === 'string') return ports;
  const rules = compileRules(route, service, referents);
  return { route, service, ports: new Set(ports.map((port) => port.port)), lostPorts: [], rules };
}

function attachedConditions({ route, ports, lostPorts, rules }: Attachment): Condition[] {
  const unresolved = rules.flatMap((rule) => rule.unresolved);
  const reasons = [...new Set(unresolved.map((u) => u.message))];
  const lost = `a GRPCRoute is attached to the same port: ${lostPorts.join(', ')}`;
  return [
    acceptance(route, rules, ports.size === 0 ? lost : ''),
    unresolved[0] === undefined
      ? condition(route, 'ResolvedRefs', true, 'ResolvedRefs')
      : condition(route, 'ResolvedRefs', false, unresolved[0].reason, reasons.join('; ')),
    ...(lostPorts.length > 0 && ports.size > 0 ? [condition(route, 'Conflicted', true, 'Conflicted', lost)] : []),
  ];
}

/** @param conflict why the route is in force nowhere; empty: it is */
function acceptance(route: AnyRoute, rules: readonly CompiledRule[], conflict: string): Condition {
  const unsupported = rules.flatMap((rule) => rule.unsupported);
  if (conflict !== '') return condition(route, 'Accepted', false, 'Conflicted', conflict);
  return unsupported.length === 0
    ? condition(route, 'Accepted', true, 'Accepted')
    : condition(route, 'Accepted', false, 'UnsupportedValue', unsupported.join('; '));
}

/**
 * All routes of one Service port in order of precedence. Consumer routes stand first, namespace by namespace, each group and the
 * producer's closed by "not found"; without a producer route the default one leads to the Service itself.
 */
export function routesOf(
  service: Service,
  port: ServicePortSpec,
  attached: AttachedRoutes,
  policies: PolicyTable,
  losses: Losses,
): readonly Route[] {
  const here = (attached.byService.get(objectKey(service.meta)) ?? []).filter(({ ports }) => ports.has(port.port));
  const groups = Map.groupBy(here, ({ route }) =>
    route.meta.namespace === service.meta.namespace ? null : route.meta.namespace,
  );
  const merge = (namespace: string | null): readonly Route[] => {
    // A route may name the same parent twice.
    const group = new Map((groups.get(namespace) ?? []).map((attachment) => [attachment.route, attachment]));
    return mergeRoutes([...group.values()], namespace, service, port, policies, losses);
  };
  const consumers = [...groups.keys()].filter((namespace) => namespace !== null).sort();
  const producer = groups.has(null) ? merge(null) : [defaultRoute(service, port, policies, losses)];
  return [...consumers.flatMap(merge), ...producer];
}

function mergeRoutes(
  group: readonly Attachment[],
  consumerNamespace: string | null,
  service: Service,
  port: ServicePortSpec,
  policies: PolicyTable,
  losses: Losses,
): readonly Route[] {
  const entries: (Ranked & { readonly route: Route })[] = [];
  const portLevels = policies.levelsOfPort(service, port.name);
  for (const { route: source, rules } of group) {
    const grpc = source.kind === 'GRPCRoute';
    for (const { ruleName, own, matches, actionAt, ...rule } of rules) {
      const { name, requestHeaders, responseHeaders, cors, session } = rule;
      const levels = [...policies.levelsOfRule(source, ruleName), ...portLevels];
      const policy = routePolicy(settler(levels, losses, `${source.kind} ${objectKey(source.meta)}`), own);
      const action = actionAt(port.port);
      for (const { match, rank } of matches) {
        const said = { name, consumerNamespace, grpc, match, requestHeaders, responseHeaders, cors, session };
        entries.push({ rank, source, route: { ...said, action, policy } });
      }
    }
  }
  return [...entries.sort(byPrecedence).map(({ route }) => route), notFound(consumerNamespace)];
}

function defaultRoute(service: Service, port: ServicePortSpec, policies: PolicyTable, losses: Losses): Route {
  const { namespace, name } = service.meta;
  const self = { namespace, service: name, port: port.port, weight: 1, requestHeaders: null, responseHeaders: null };
  return {
    ...notFound(null),
    name: 'default',
    action: { kind: 'forward', backends: [self], unresolvedWeight: 0, rewrite: null, mirrors: [] },
    policy: routePolicy(settler(policies.levelsOfPort(service, port.name), losses), null),
  };
}

function notFound(consumerNamespace: string | null): Route {
  return {
    name: 'not-found',
    consumerNamespace,
    grpc: false,
    match: EVERYTHING,
    requestHeaders: null,
    responseHeaders: null,
    cors: null,
    session: null,
    action: { kind: 'not-found' },
    policy: DEFAULT_ROUTE_POLICY,
  };
}
