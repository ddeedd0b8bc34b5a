/**
 * Matches of HTTPRoute and GRPCRoute in the words of the mesh, each with its rank among the matches of a Service.
 * A match that cannot be written for a proxy is left out, and said: it must not widen into another. Knows no rule as a whole.
 */
import { linearRegex } from '#base/regex.ts';
import type { GrpcMethodMatch, GrpcRouteMatch } from '../kinds/grpc-route.ts';
import type { HttpRouteMatch, NamedValueMatch } from '../kinds/http-route.ts';
import type { PathMatch, RouteMatch, ValueMatch } from '../model/route.ts';
import { grpcRank, httpRank } from './precedence.ts';

export interface RankedMatch {
  readonly match: RouteMatch;
  readonly rank: readonly number[];
}

export interface CompiledMatches {
  readonly matches: readonly RankedMatch[];
  /** Sentences, with the path of the field. */
  readonly unsupported: readonly string[];
}

export const EVERYTHING: RouteMatch = { path: { kind: 'prefix', value: '/' }, headers: [], query: [], method: '' };

/** @param path of the rule */
export function compileHttpMatches(matches: readonly HttpRouteMatch[], path: string): CompiledMatches {
  return compileMatches(matches, path, httpMatchProblems, (given) => {
    const match = httpMatch(given);
    return { match, rank: httpRank(match) };
  });
}

/** @param path of the rule */
export function compileGrpcMatches(matches: readonly GrpcRouteMatch[], path: string): CompiledMatches {
  return compileMatches(matches, path, grpcMatchProblems, (given) => ({
    match: grpcMatch(given),
    rank: grpcRank(given),
  }));
}

/**
 * Where a rule with CORS asks for a method or for headers, preflights for it would not find it: they are OPTIONS, and carry none of those
 * headers. These matches are theirs.
 */
export function preflightMatches(matches: readonly RankedMatch[]): readonly RankedMatch[] {
  return matches
    .filter(({ match }) => match.headers.length > 0 || (match.method !== '' && match.method !== 'OPTIONS'))
    .map(({ match }) => {
      const asked = 'access-control-request-method';
      const header: ValueMatch =
        match.method === ''
          ? { kind: 'regex', name: asked, value: '.+' }
          : { kind: 'exact', name: asked, value: match.method };
      const preflight: RouteMatch = { ...match, method: 'OPTIONS', headers: [header] };
      return { match: preflight, rank: httpRank(preflight) };
    });
}

function compileMatches<M>(
  matches: readonly M[],
  path: string,
  problemsOf: (match: M) => readonly string[],
  compile: (match: M) => RankedMatch,
): CompiledMatches {
  const unsupported: string[] = [];
  const compiled = matches.flatMap((match, i) => {
    const problems = problemsOf(match).map((problem) => `${path}.matches[${i}].${problem}`);
    unsupported.push(...problems);
    return problems.length > 0 ? [] : [compile(match)];
  });
  return { matches: compiled, unsupported };
}

function httpMatch({ path, headers, queryParams, method }: HttpRouteMatch): RouteMatch {
  return {
    path: httpPath(path.type, path.value),
    headers: valueMatches(headers, (m) => m.name.toLowerCase()),
    query: valueMatches(queryParams, (m) => m.name),
    method,
  };
}

/** A call is a POST to `/package.Service/Method`; other methods are no calls (gRPC over HTTP/2). */
function grpcMatch({ method, headers }: GrpcRouteMatch): RouteMatch {
  return {
    path: method === null ? EVERYTHING.path : grpcPath(method),
    headers: valueMatches(headers, (m) => m.name.toLowerCase()),
    query: [],
    method: '',
  };
}

function grpcPath({ type, service, method }: GrpcMethodMatch): PathMatch {
  if (type === 'Exact' && service !== '') {
    return method === '' ? { kind: 'prefix', value: `/${service}` } : { kind: 'exact', value: `/${service}/${method}` };
  }
  const part = (text: string): string => (text === '' ? '[^/]+' : type === 'Exact' ? text : `(?:${text})`);
  return { kind: 'regex', value: `/${part(service)}/${part(method)}` };
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

function httpPath(type: HttpRouteMatch['path']['type'], value: string): PathMatch {
  if (type === 'Exact') return { kind: 'exact', value };
  if (type === 'RegularExpression') return { kind: 'regex', value };
  const trimmed = value.replace(/\/+$/, '');
  return { kind: 'prefix', value: trimmed === '' ? '/' : trimmed };
}

function regexProblems(where: string, type: string, value: string): string[] {
  if (type !== 'RegularExpression') return [];
  if (value === '') return [`${where}: is empty`];
  const compiled = linearRegex(value);
  return compiled.ok ? [] : [`${where}: ${compiled.error}`];
}

function httpMatchProblems({ path, headers, queryParams }: HttpRouteMatch): string[] {
  const problems = regexProblems('path.value', path.type, path.value);
  if (path.type !== 'RegularExpression' && /[?#]/.test(path.value)) problems.push('path.value: cannot hold ? or #');
  return [
    ...problems,
    ...headers.flatMap(({ type, value }, i) => regexProblems(`headers[${i}].value`, type, value)),
    ...queryParams.flatMap(({ type, value }, i) => regexProblems(`queryParams[${i}].value`, type, value)),
  ];
}

/** The expression as a whole is what a proxy gets, and it is longer than its parts. */
function grpcMatchProblems({ method, headers }: GrpcRouteMatch): string[] {
  const path = method === null ? null : grpcPath(method);
  return [
    ...(path?.kind === 'regex' ? regexProblems('method', 'RegularExpression', path.value) : []),
    ...headers.flatMap(({ type, value }, i) => regexProblems(`headers[${i}].value`, type, value)),
  ];
}
