/**
 * One rule of an HTTPRoute or a GRPCRoute, seen from one parent Service: matches, header changes, where it leads; and what in it cannot
 * be done. Knows no policy. A rule that cannot be done as written answers 500: nothing is silently left out (Gateway API).
 */
import type { GrpcRoute, GrpcRouteRule } from '../kinds/grpc-route.ts';
import type { OwnPolicy } from './policies/in-force.ts';
import type { HttpRoute, HttpRouteRule } from '../kinds/http-route.ts';
import type { Redirect as RedirectSpec } from '../kinds/route-filters.ts';
import type { Service } from '../kinds/service.ts';
import type { CorsPolicy } from '../model/cors.ts';
import type { HeaderChange, Mirror, RouteAction, WeightedBackend } from '../model/route.ts';
import { corsOf, filterProblems, headerChange, mirrorsOf, redirectFrom, redirectOf, rewriteOf } from './filters.ts';
import {
  compileGrpcMatches,
  compileHttpMatches,
  preflightMatches,
  type CompiledMatches,
  type RankedMatch,
} from './matches.ts';
import { sessionOf } from './sessions.ts';
import type { SessionPolicy } from '../model/session.ts';
import { resolveBackend, type Referents, type Unresolved } from './references.ts';

export interface CompiledRule {
  /** `namespace/route/rule`: the rule's name, or its place counted from 0. */
  readonly name: string;
  /** As the user named it; may be empty. */
  readonly ruleName: string;
  readonly own: OwnPolicy;
  readonly matches: readonly RankedMatch[];
  readonly requestHeaders: HeaderChange | null;
  readonly responseHeaders: HeaderChange | null;
  readonly cors: CorsPolicy | null;
  readonly session: SessionPolicy | null;
  /** What is done with requests to this port of the Service. */
  readonly actionAt: (port: number) => RouteAction;
  readonly unresolved: readonly Unresolved[];
  /** Sentences that say what is not supported, with the path of the field. */
  readonly unsupported: readonly string[];
}

/** GRPCRoute has none of these in v1. */
const NOTHING_OWN: OwnPolicy = { timeouts: { requestMs: null, backendRequestMs: null }, retry: null };

/** Every rule of a route. */
export function compileRules(
  route: HttpRoute | GrpcRoute,
  parent: Service,
  referents: Referents,
): readonly CompiledRule[] {
  if (route.kind === 'GRPCRoute') {
    return route.spec.rules.map((rule, i) => {
      const matches = compileGrpcMatches(rule.matches, `spec.rules[${i}]`);
      return compileRule(route, i, rule, NOTHING_OWN, matches, parent, referents);
    });
  }
  return route.spec.rules.map((rule, i) => {
    const matches = compileHttpMatches(rule.matches, `spec.rules[${i}]`);
    return compileRule(route, i, rule, rule, matches, parent, referents);
  });
}

function compileRule(
  route: HttpRoute | GrpcRoute,
  index: number,
  source: HttpRouteRule | GrpcRouteRule,
  { timeouts, retry }: OwnPolicy,
  { matches, unsupported }: CompiledMatches,
  parent: Service,
  referents: Referents,
): CompiledRule {
  const path = `spec.rules[${index}]`;
  const backends = compileBackends(route, source, path, parent, referents);
  const mirrors = mirrorsOf(source.filters).map(({ backendRef, percent }) => ({
    percent,
    backend: resolveBackend(backendRef, route, parent, referents),
  }));
  const copies = mirrors.flatMap(({ backend, percent }) => (backend.ok ? [{ ...backend.value, percent }] : []));
  const badFilters = [...filterProblems(source.filters, `${path}.filters`, 'rule'), ...backends.badFilters];
  const { namespace, name } = route.meta;
  const cors = corsOf(source.filters);
  const ruleName = `${namespace}/${name}/${source.name === '' ? index : source.name}`;
  return {
    name: ruleName,
    ruleName: source.name,
    own: { timeouts, retry },
    matches: cors === null ? matches : [...matches, ...preflightMatches(matches)],
    requestHeaders: headerChange(source.filters, 'RequestHeaderModifier'),
    responseHeaders: headerChange(source.filters, 'ResponseHeaderModifier'),
    cors,
    session: sessionOf(source.sessionPersistence, ruleName),
    actionAt: ruleAction(source, backends, copies, badFilters),
    // A mirror that leads nowhere is told of like any other reference, and left out (HTTPRequestMirrorFilter.backendRef).
    unresolved: [...backends.unresolved, ...mirrors.flatMap(({ backend }) => (backend.ok ? [] : [backend.error]))],
    unsupported: [...unsupported, ...badFilters],
  };
}

interface Backends {
  readonly resolved: readonly WeightedBackend[];
  readonly unresolved: readonly Unresolved[];
  readonly unresolvedWeight: number;
  readonly badFilters: readonly string[];
}

function ruleAction(
  { filters }: HttpRouteRule | GrpcRouteRule,
  backends: Backends,
  mirrors: readonly Mirror[],
  badFilters: readonly string[],
): CompiledRule['actionAt'] {
  if (badFilters.length > 0) return () => ({ kind: 'unavailable', reason: badFilters.join('; ') });
  const redirect: RedirectSpec | null = redirectOf(filters);
  if (redirect !== null) return (port) => ({ kind: 'redirect', redirect: redirectFrom(port, redirect) });
  const action = forwardAction(filters, backends, mirrors);
  return () => action;
}

function forwardAction(
  filters: (HttpRouteRule | GrpcRouteRule)['filters'],
  { resolved, unresolved, unresolvedWeight }: Backends,
  mirrors: readonly Mirror[],
): RouteAction {
  if (resolved.some((backend) => backend.weight > 0)) {
    return { kind: 'forward', backends: resolved, unresolvedWeight, rewrite: rewriteOf(filters), mirrors };
  }
  const reasons = [...new Set(unresolved.map((u) => u.message))];
  if (reasons.length > 0) return { kind: 'unavailable', reason: reasons.join('; ') };
  return { kind: 'unavailable', reason: resolved.length === 0 ? 'it has no backendRefs' : 'all its weights are 0' };
}

function compileBackends(
  route: HttpRoute | GrpcRoute,
  rule: HttpRouteRule | GrpcRouteRule,
  path: string,
  parent: Service,
  referents: Referents,
): Backends {
  const resolved: WeightedBackend[] = [];
  const unresolved: Unresolved[] = [];
  let unresolvedWeight = 0;
  for (const ref of rule.backendRefs) {
    const backend = resolveBackend(ref, route, parent, referents);
    if (backend.ok) {
      resolved.push({
        ...backend.value,
        weight: ref.weight,
        requestHeaders: headerChange(ref.filters, 'RequestHeaderModifier'),
        responseHeaders: headerChange(ref.filters, 'ResponseHeaderModifier'),
      });
    } else {
      unresolved.push(backend.error);
      unresolvedWeight += ref.weight;
    }
  }
  const badFilters = rule.backendRefs.flatMap(({ filters }, i) =>
    filterProblems(filters, `${path}.backendRefs[${i}].filters`, 'backend'),
  );
  return { resolved, unresolved, unresolvedWeight, badFilters };
}
