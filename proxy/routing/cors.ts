/**
 * Cross-origin requests (Fetch standard, GEP-1767): a preflight is answered here, and the answer to a request that follows says who may read it.
 * Both are said as a route: one that answers by itself, or the same one with more response headers. Pure.
 */
import type { CorsConfig, HeaderChangeConfig, RouteConfig } from '../config/snapshot.ts';
import type { RequestHead } from '../http/message.ts';
import { linkValue, matchesValue, type ValueMatcher } from './match.ts';
import type { Route } from './route.ts';

const linked = new WeakMap<CorsConfig, readonly ValueMatcher[]>();

/** The route for this request; the same one unless it comes from another origin and the route has CORS. */
export function crossOrigin(route: Route, request: RequestHead): Route {
  const { cors } = route.config;
  if (cors === undefined) return route;
  const origin = request.headers.get('origin');
  if (origin === undefined || origin === '') return route;
  const asked = request.method === 'OPTIONS' ? (request.headers.get('access-control-request-method') ?? '') : '';
  const isAllowed = matchersOf(cors).some((matcher) => matchesValue(matcher, origin));
  if (!isAllowed) return asked === '' || cors.forwardsUnknown ? route : answering(route, []);
  const allowed = allowedHeaders(cors, origin);
  return asked === ''
    ? withHeaders(route, allowed)
    : answering(route, [...allowed, ...preflight(cors, asked, request)]);
}

function matchersOf(cors: CorsConfig): readonly ValueMatcher[] {
  let matchers = linked.get(cors);
  if (matchers === undefined) {
    matchers = cors.origins.map((match) => linkValue({ name: 'origin', match, invert: false }));
    linked.set(cors, matchers);
  }
  return matchers;
}

/** In answers to preflights and to what follows them. */
function allowedHeaders({ credentials, expose }: CorsConfig, origin: string): HeaderChangeConfig[] {
  return [
    set('access-control-allow-origin', origin),
    ...(credentials ? [set('access-control-allow-credentials', 'true')] : []),
    ...(expose === '' ? [] : [set('access-control-expose-headers', expose)]),
    // Another origin gets another answer (Fetch standard, "CORS protocol and HTTP caches").
    { name: 'vary', value: 'origin', how: 'append' },
  ];
}

/** With credentials a star would be read as a name, so that what was asked for stands in its place. */
function preflight(cors: CorsConfig, method: string, request: RequestHead): HeaderChangeConfig[] {
  const wanted = request.headers.get('access-control-request-headers') ?? '';
  const methods = cors.methods === '*' && cors.credentials ? method : cors.methods;
  const headers = cors.headers === '*' && cors.credentials ? wanted : cors.headers;
  return [
    ...(methods === '' ? [] : [set('access-control-allow-methods', methods)]),
    ...(headers === '' ? [] : [set('access-control-allow-headers', headers)]),
    ...(cors.maxAge === '' ? [] : [set('access-control-max-age', cors.maxAge)]),
  ];
}

function set(name: string, value: string): HeaderChangeConfig {
  return { name, value, how: 'set' };
}

function withHeaders(route: Route, changes: readonly HeaderChangeConfig[]): Route {
  const { responseHeaders } = route.config;
  const edits = {
    changes: [...changes, ...(responseHeaders?.changes ?? [])],
    remove: responseHeaders?.remove ?? [],
  };
  return { ...route, config: { ...route.config, responseHeaders: edits } };
}

/** Envoy answers 200, whether the origin is allowed or not. Nothing else that the route does concerns a preflight. */
function answering(route: Route, changes: readonly HeaderChangeConfig[]): Route {
  const { name, path, headers, query } = route.config;
  const config: RouteConfig = {
    name,
    path,
    headers,
    query,
    requestHeaders: null,
    responseHeaders: changes.length === 0 ? null : { changes, remove: [] },
    action: { kind: 'respond', status: 200, body: '' },
  };
  return { ...route, config, clusters: [], bounds: [] };
}
