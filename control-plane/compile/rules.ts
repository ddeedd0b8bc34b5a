/**
 * One rule of an HTTPRoute, seen from one parent Service: matches, header changes, where it leads; and what in it cannot be done.
 * Knows no precedence and no policy. A rule that cannot be done as written answers 500: nothing is silently left out (Gateway API).
 */
import { linearRegex } from '#base/regex.ts';
import type {
  HttpRoute,
  HttpRouteFilter,
  HttpRouteMatch,
  HttpRouteRule,
  NamedValueMatch,
} from '../kinds/http-route.ts';
import type { Service } from '../kinds/service.ts';
import type { HeaderChange, PathMatch, RouteAction, RouteMatch, ValueMatch, WeightedBackend } from '../model/route.ts';
import { resolveBackend, type Unresolved } from './references.ts';

export interface CompiledRule {
  /** `namespace/route/rule`: the rule's name, or its place counted from 0. */
  readonly name: string;
  readonly source: HttpRouteRule;
  readonly matches: readonly RouteMatch[];
  readonly requestHeaders: HeaderChange | null;
  readonly responseHeaders: HeaderChange | null;
  readonly action: RouteAction;
  readonly unresolved: readonly Unresolved[];
  /** Sentences that say what is not supported, with the path of the field. */
  readonly unsupported: readonly string[];
}

export function compileRule(
  route: HttpRoute,
  index: number,
  source: HttpRouteRule,
  parent: Service,
  services: ReadonlyMap<string, Service>,
): CompiledRule {
  const path = `spec.rules[${index}]`;
  const unsupported: string[] = [];
  const matches = compileMatches(source.matches, path, unsupported);
  const badFilters = filterProblems(source.filters, `${path}.filters`);
  const { backends, unresolved, unresolvedWeight } = compileBackends(route, source, path, parent, services, badFilters);
  unsupported.push(...badFilters);
  return {
    name: `${route.meta.namespace}/${route.meta.name}/${source.name === '' ? index : source.name}`,
    source,
    matches,
    requestHeaders: headerChange(source.filters, 'RequestHeaderModifier'),
    responseHeaders: headerChange(source.filters, 'ResponseHeaderModifier'),
    action: ruleAction(backends, unresolved, unresolvedWeight, badFilters),
    unresolved,
    unsupported,
  };
}

function ruleAction(
  backends: readonly WeightedBackend[],
  unresolved: readonly Unresolved[],
  unresolvedWeight: number,
  badFilters: readonly string[],
): RouteAction {
  if (badFilters.length > 0) return { kind: 'unavailable', reason: badFilters.join('; ') };
  if (backends.some((backend) => backend.weight > 0)) return { kind: 'forward', backends, unresolvedWeight };
  const reasons = [...new Set(unresolved.map((u) => u.message))];
  if (reasons.length > 0) return { kind: 'unavailable', reason: reasons.join('; ') };
  return { kind: 'unavailable', reason: backends.length === 0 ? 'it has no backendRefs' : 'all its weights are 0' };
}

function compileBackends(
  route: HttpRoute,
  rule: HttpRouteRule,
  path: string,
  parent: Service,
  services: ReadonlyMap<string, Service>,
  badFilters: string[],
): { backends: WeightedBackend[]; unresolved: Unresolved[]; unresolvedWeight: number } {
  const backends: WeightedBackend[] = [];
  const unresolved: Unresolved[] = [];
  let unresolvedWeight = 0;
  for (const [i, ref] of rule.backendRefs.entries()) {
    badFilters.push(...filterProblems(ref.filters, `${path}.backendRefs[${i}].filters`));
    const backend = resolveBackend(ref, route, parent, services);
    if (backend.ok) {
      backends.push({
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
  return { backends, unresolved, unresolvedWeight };
}

/** The proxy writes them itself: framing, hop-by-hop fields (RFC 9110 7.6.1), and what the routing went by. */
const PROXY_FIELDS: ReadonlySet<string> = new Set([
  'connection',
  'content-length',
  'expect',
  'host',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

/** RFC 9110 5.5, without obs-text. */
const VISIBLE = /^[\x21-\x7e](?:[\t\x20-\x7e]*[\x21-\x7e])?$/;

function isProxyField(name: string): boolean {
  return name.startsWith(':') || PROXY_FIELDS.has(name.toLowerCase());
}

function filterProblems(filters: readonly HttpRouteFilter[], path: string): string[] {
  return filters.flatMap((filter, i) => {
    if (filter.type === 'unsupported') return [`${path}[${i}]: filter ${filter.name} is not supported`];
    const { set, add, remove } = filter.modifier;
    const names = [...set.map((h) => h.name), ...add.map((h) => h.name), ...remove];
    return [
      ...names.filter(isProxyField).map((name) => `${path}[${i}]: header ${name} cannot be changed`),
      ...[...set, ...add]
        .filter(({ value }) => !VISIBLE.test(value))
        .map(
          ({ name }) => `${path}[${i}]: the value of header ${name} must be visible ASCII without space at its ends`,
        ),
    ];
  });
}

function headerPair({ name, value }: { readonly name: string; readonly value: string }): [string, string] {
  return [name.toLowerCase(), value];
}

function headerChange(
  filters: readonly HttpRouteFilter[],
  type: 'RequestHeaderModifier' | 'ResponseHeaderModifier',
): HeaderChange | null {
  const modifiers = filters.flatMap((filter) => (filter.type === type ? [filter.modifier] : []));
  if (modifiers.length === 0) return null;
  return {
    set: modifiers.flatMap((m) => m.set.map(headerPair)),
    add: modifiers.flatMap((m) => m.add.map(headerPair)),
    remove: modifiers.flatMap((m) => m.remove.map((name) => name.toLowerCase())),
  };
}

/** A match that cannot be written for a proxy is left out, and said: it must not widen into another. */
function compileMatches(matches: readonly HttpRouteMatch[], path: string, unsupported: string[]): RouteMatch[] {
  if (matches.length === 0) return [EVERYTHING];
  return matches.flatMap((match, i) => {
    const problems = matchProblems(match).map((problem) => `${path}.matches[${i}].${problem}`);
    unsupported.push(...problems);
    return problems.length > 0 ? [] : [compileMatch(match)];
  });
}

export const EVERYTHING: RouteMatch = { path: { kind: 'prefix', value: '/' }, headers: [], query: [], method: '' };

function compileMatch({ path, headers, queryParams, method }: HttpRouteMatch): RouteMatch {
  return {
    path: compilePath(path.type, path.value),
    headers: valueMatches(headers, (m) => m.name.toLowerCase()),
    query: valueMatches(queryParams, (m) => m.name),
    method,
  };
}

/** Of several with the same name only the first counts (Gateway API, HTTPHeaderMatch.name). */
function valueMatches(list: readonly NamedValueMatch[], nameOf: (match: NamedValueMatch) => string): ValueMatch[] {
  const byName = new Map<string, ValueMatch>();
  for (const match of list) {
    const name = nameOf(match);
    const kind = match.type === 'Exact' ? 'exact' : 'regex';
    if (!byName.has(name)) byName.set(name, { kind, name, value: match.value });
  }
  return [...byName.values()];
}

function compilePath(type: HttpRouteMatch['path']['type'], value: string): PathMatch {
  if (type === 'Exact') return { kind: 'exact', value };
  if (type === 'RegularExpression') return { kind: 'regex', value };
  const trimmed = value.replace(/\/+$/, '');
  return { kind: 'prefix', value: trimmed === '' ? '/' : trimmed };
}

function matchProblems({ path, headers, queryParams }: HttpRouteMatch): string[] {
  const problems: string[] = [];
  const regex = (where: string, type: string, value: string): void => {
    if (type !== 'RegularExpression') return;
    const compiled = linearRegex(value);
    if (value === '') problems.push(`${where}: is empty`);
    else if (!compiled.ok) problems.push(`${where}: ${compiled.error}`);
  };
  regex('path.value', path.type, path.value);
  if (path.type !== 'RegularExpression' && /[?#]/.test(path.value)) problems.push('path.value: cannot hold ? or #');
  for (const [i, header] of headers.entries()) regex(`headers[${i}].value`, header.type, header.value);
  for (const [i, query] of queryParams.entries()) regex(`queryParams[${i}].value`, query.type, query.value);
  return problems;
}
