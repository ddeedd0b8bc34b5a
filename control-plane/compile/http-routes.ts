/**
 * HTTPRoutes with Services as parents (GAMMA, GEP-1324): which route is attached where, what the routes of one Service port
 * are together, and the status of each parent. Hostnames do not count there. Knows no endpoint.
 */
import type { HttpRoute, ParentRef } from '../kinds/http-route.ts';
import { objectKey } from '../kinds/meta.ts';
import type { Service, ServicePortSpec } from '../kinds/service.ts';
import { DEFAULT_ROUTE_POLICY } from '../model/policy.ts';
import type { Route } from '../model/route.ts';
import { byAge, condition, objectStatus, type Condition, type ObjectStatus, type ParentStatus } from './conditions.ts';
import { routePolicy } from './policies/in-force.ts';
import { settler, type Losses } from './policies/settle.ts';
import type { PolicyTable } from './policies/targets.ts';
import { byPrecedence, type Ranked } from './precedence.ts';
import { mayCarryHttp, protocolOf } from './protocols.ts';
import { compileRule, EVERYTHING, type CompiledRule } from './rules.ts';
import { meshPorts } from './services.ts';

/** A route on a Service, with its rules as seen from there. */
interface Attachment {
  readonly route: HttpRoute;
  readonly service: Service;
  readonly ports: ReadonlySet<number>;
  readonly rules: readonly CompiledRule[];
}

export interface AttachedRoutes {
  /** By `namespace/name` of the Service, the older route first. */
  readonly byService: ReadonlyMap<string, readonly Attachment[]>;
  readonly statuses: readonly ObjectStatus[];
}

export function attachRoutes(
  routes: ReadonlyMap<string, HttpRoute>,
  services: ReadonlyMap<string, Service>,
): AttachedRoutes {
  const attachments: Attachment[] = [];
  const statuses: ObjectStatus[] = [];
  for (const route of [...routes.values()].sort(byAge)) {
    const parents: ParentStatus[] = [];
    for (const ref of route.spec.parentRefs.filter(isServiceRef)) {
      const attachment = attach(route, ref, services);
      const attached = typeof attachment !== 'string';
      if (attached) attachments.push(attachment);
      const conditions = attached ? attachedConditions(route, attachment.rules) : refusedConditions(route, attachment);
      parents.push({ ref: parentRef(route, ref), conditions });
    }
    // Parents of other kinds are other controllers' business.
    if (parents.length > 0) statuses.push(objectStatus(route, { parents }));
  }
  return { byService: Map.groupBy(attachments, ({ service }) => objectKey(service.meta)), statuses };
}

/** The attachment, or the sentence that says why there is none. */
function attach(route: HttpRoute, ref: ParentRef, services: ReadonlyMap<string, Service>): Attachment | string {
  const key = `${namespaceOf(route, ref)}/${ref.name}`;
  const service = services.get(key);
  if (service === undefined) return `Service ${key} does not exist`;
  const ports = attachablePorts(service, ref);
  if (typeof ports === 'string') return ports;
  const rules = route.spec.rules.map((rule, i) => compileRule(route, i, rule, service, services));
  return { route, service, ports: new Set(ports.map((port) => port.port)), rules };
}

function namespaceOf(route: HttpRoute, ref: ParentRef): string {
  return ref.namespace === '' ? route.meta.namespace : ref.namespace;
}

function isServiceRef(ref: ParentRef): boolean {
  return ref.kind === 'Service' && (ref.group === '' || ref.group === 'core');
}

/** The ports that the parentRef means, or the sentence that says why there is none. */
function attachablePorts(service: Service, ref: ParentRef): readonly ServicePortSpec[] | string {
  const name = `Service ${objectKey(service.meta)}`;
  const chosen = meshPorts(service).filter(
    (port) =>
      (ref.port === null || port.port === ref.port) && (ref.sectionName === '' || port.name === ref.sectionName),
  );
  if (chosen.length === 0) {
    const wanted = [ref.port ?? '', ref.sectionName].filter((part) => part !== '').join(' named ');
    return wanted === '' ? `${name} has no TCP port` : `${name} has no TCP port ${wanted}`;
  }
  const http = chosen.filter((port) => mayCarryHttp(protocolOf(port)));
  return http.length > 0
    ? http
    : `${name} carries no HTTP there: its port is declared ${[...new Set(chosen.map(protocolOf))].join(', ')}`;
}

function parentRef(route: HttpRoute, ref: ParentRef): ParentStatus['ref'] {
  const { group, kind, name, sectionName, port } = ref;
  return { group, kind, namespace: namespaceOf(route, ref), name, sectionName, port };
}

function refusedConditions(route: HttpRoute, message: string): Condition[] {
  return [
    condition(route, 'Accepted', false, 'NoMatchingParent', message),
    condition(route, 'ResolvedRefs', true, 'ResolvedRefs'),
  ];
}

function attachedConditions(route: HttpRoute, rules: readonly CompiledRule[]): Condition[] {
  const unsupported = rules.flatMap((rule) => rule.unsupported);
  const unresolved = rules.flatMap((rule) => rule.unresolved);
  const reasons = [...new Set(unresolved.map((u) => u.message))];
  return [
    unsupported.length === 0
      ? condition(route, 'Accepted', true, 'Accepted')
      : condition(route, 'Accepted', false, 'UnsupportedValue', unsupported.join('; ')),
    unresolved[0] === undefined
      ? condition(route, 'ResolvedRefs', true, 'ResolvedRefs')
      : condition(route, 'ResolvedRefs', false, unresolved[0].reason, reasons.join('; ')),
  ];
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
    for (const { name, source: rule, matches, requestHeaders, responseHeaders, action } of rules) {
      const levels = [...policies.levelsOfRule(source, rule.name), ...portLevels];
      const policy = routePolicy(settler(levels, losses, `HTTPRoute ${objectKey(source.meta)}`), rule.timeouts);
      for (const match of matches) {
        const route = { name, consumerNamespace, match, requestHeaders, responseHeaders, action, policy };
        entries.push({ match, source, route });
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
    action: { kind: 'forward', backends: [self], unresolvedWeight: 0 },
    policy: routePolicy(settler(policies.levelsOfPort(service, port.name), losses), null),
  };
}

function notFound(consumerNamespace: string | null): Route {
  return {
    name: 'not-found',
    consumerNamespace,
    match: EVERYTHING,
    requestHeaders: null,
    responseHeaders: null,
    action: { kind: 'not-found' },
    policy: DEFAULT_ROUTE_POLICY,
  };
}
