/**
 * Route tables: what a destination's routes do with a request. Each ends where no route is left: what matches none gets 404.
 * Knows no listener and no endpoint.
 */
import {
  HeaderValueOption_HeaderAppendAction as Append,
  type HeaderValueOption,
} from '#api/generated/envoy/config/core/v3/core.ts';
import {
  Route as RouteMessage,
  RouteAction as RouteActionMessage,
  RouteAction_ClusterNotFoundResponseCode as NotFound,
  RouteConfiguration,
} from '#api/generated/envoy/config/route/v3/route.ts';
import { destinationName, METADATA } from '#api/names.ts';
import { DEFAULT_ROUTE_POLICY, type HashKey, type RoutePolicy } from '../model/policy.ts';
import type { HeaderChange, Route, WeightedBackend } from '../model/route.ts';
import type { SessionPolicy } from '../model/session.ts';
import { hashPolicies } from './balancers.ts';
import type { Dialect } from './client.ts';
import type { Arrival } from './arrivals.ts';
import { faultConfig, limitRoute, share, tracing } from './filters.ts';
import { corsConfig } from './cors.ts';
import { sessionConfig, sessionOptions } from './sessions.ts';
import { duration } from './messages.ts';
import { fallbackMessage, retryOptions, retryPolicy } from './retries.ts';
import { redirectAction, rewriteFields } from './rewrites.ts';
import { routeMatch } from './route-matches.ts';

/** A cluster that there never is: stands for backends that cannot be resolved. */
const UNRESOLVED = 'unresolved';

/** What the routes of a mesh need to become messages. */
export interface RouteContext {
  readonly clusterDomain: string;
  readonly dialect: Dialect;
  /** What others than sidecars hash of a request: that of the Service asked for. */
  readonly hashOn: readonly HashKey[];
}

/** @param routes those that the client sees */
export function routeTable(name: string, routes: readonly Route[], context: RouteContext): RouteConfiguration {
  const virtualHosts = [
    { name, domains: ['*'], routes: routeMessages(routes, context), includeRequestAttemptCount: true },
  ];
  return RouteConfiguration.fromPartial({ name, virtualHosts });
}

/** Everything to one cluster, as the policy of those who arrive there says. */
export function plainTable(name: string, cluster: string, arrival: Arrival | null): RouteConfiguration {
  const route = { ...plainRoute(cluster), tracing: tracing(arrival?.sampling ?? null) };
  const limit = arrival?.rateLimit ?? null;
  const routes = [arrival === null || limit === null ? route : limitRoute(route, arrival.name, limit)];
  return RouteConfiguration.fromPartial({ name, virtualHosts: [{ name, domains: ['*'], routes }] });
}

/**
 * @param policy nothing is retried and no time is set when it is left out
 * @param clusterDomain where the policy may name a Service
 */
export function plainRoute(
  cluster: string,
  policy: RoutePolicy = { ...DEFAULT_ROUTE_POLICY, retry: null },
  clusterDomain = '',
): RouteMessage {
  return RouteMessage.fromPartial({
    name: 'default',
    match: { pathSpecifier: { $case: 'prefix', value: '/' } },
    action: {
      $case: 'route',
      value: { ...forwardAction(policy), clusterSpecifier: { $case: 'cluster', value: cluster } },
    },
    ...routeMetadata(policy, null, clusterDomain),
    typedPerFilterConfig: faultConfig(policy.fault),
    tracing: tracing(policy.sampling),
  });
}

/** Everything is answered so, with the sentence that says why. */
export function refusal(status: number, reason: string): RouteMessage {
  return RouteMessage.fromPartial({
    name: 'refused',
    match: { pathSpecifier: { $case: 'prefix', value: '/' } },
    action: { $case: 'directResponse', value: { status, body: inlineBody(reason) } },
  });
}

export function routeMessages(routes: readonly Route[], context: RouteContext): RouteMessage[] {
  return routes.flatMap((route) => {
    const { name, match, requestHeaders, responseHeaders, policy } = route;
    // gRPC refuses filters of a route that it does not know, and not every gRPC knows this one.
    const session = context.dialect === 'grpc' ? null : route.session;
    const message = actionMessage(route, context);
    if (message === null) return [];
    return RouteMessage.fromPartial({
      name,
      match: routeMatch(match, context.dialect),
      action: message,
      ...(message.$case === 'route' && routeMetadata(policy, session, context.clusterDomain)),
      typedPerFilterConfig: {
        ...corsConfig(route.cors),
        ...faultConfig(policy.fault),
        ...sessionConfig(session, match.path),
      },
      tracing: tracing(policy.sampling),
      ...headerEdits(requestHeaders, responseHeaders),
    });
  });
}

/** Null: nothing is said, so nothing is found. */
function actionMessage(
  { action, grpc, match, policy }: Route,
  context: RouteContext,
): NonNullable<RouteMessage['action']> | null {
  switch (action.kind) {
    case 'not-found':
      return null;
    case 'unavailable':
      return { $case: 'directResponse', value: { status: unavailableStatus(grpc), body: inlineBody(action.reason) } };
    case 'redirect':
      return { $case: 'redirect', value: redirectAction(match.path, action.redirect) };
    case 'forward':
      return {
        $case: 'route',
        value: {
          ...forwardAction(policy),
          clusterSpecifier: clusterSpecifier(action.backends, action.unresolvedWeight, context),
          ...(action.unresolvedWeight > 0 && !grpc && { clusterNotFoundResponseCode: NotFound.INTERNAL_SERVER_ERROR }),
          ...rewriteFields(match.path, action.rewrite),
          ...(context.dialect !== 'sidecar' && { hashPolicy: hashPolicies(context.hashOn) }),
          requestMirrorPolicies: action.mirrors.map((mirror) => ({
            cluster: clusterName(mirror, context),
            runtimeFraction: { defaultValue: share(mirror.percent), runtimeKey: '' },
          })),
        },
      };
  }
}

/** Proxies answer a gRPC call UNAVAILABLE for 503, and UNKNOWN for 500 (gRPC, HTTP to gRPC status code mapping). */
function unavailableStatus(grpc: boolean): number {
  return grpc ? 503 : 500;
}

/** Envoy refuses more than 4,096 bytes in a direct response. */
function inlineBody(reason: string): { specifier: { $case: 'inlineString'; value: string } } {
  return { specifier: { $case: 'inlineString', value: reason.slice(0, 1000) } };
}

function forwardAction(policy: RoutePolicy): RouteActionMessage {
  return RouteActionMessage.fromPartial({
    // An absent timeout would mean 15 s, an absent idle timeout the connection manager's 5 min.
    timeout: duration(policy.requestTimeoutMs),
    idleTimeout: duration(policy.idleTimeoutMs),
    retryPolicy: retryPolicy(policy),
  });
}

function routeMetadata(
  { retry, fallback }: RoutePolicy,
  session: SessionPolicy | null,
  clusterDomain: string,
): Pick<RouteMessage, 'metadata'> {
  if (retry === null && fallback === null && session === null) return {};
  const typedFilterMetadata = {
    ...sessionOptions(session),
    ...(retry !== null && { [METADATA.retry]: retryOptions(retry) }),
    ...(fallback !== null && {
      [METADATA.fallback]: fallbackMessage(fallback, (backend) => clusterName(backend, { clusterDomain })),
    }),
  };
  return { metadata: { filterMetadata: {}, typedFilterMetadata } };
}

function clusterName(
  { service, namespace, port }: Pick<WeightedBackend, 'service' | 'namespace' | 'port'>,
  { clusterDomain }: Pick<RouteContext, 'clusterDomain'>,
): string {
  return destinationName(`${service}.${namespace}.svc.${clusterDomain}`, port);
}

function clusterSpecifier(
  backends: readonly WeightedBackend[],
  unresolvedWeight: number,
  context: RouteContext,
): RouteActionMessage['clusterSpecifier'] {
  const name = (backend: WeightedBackend): string => clusterName(backend, context);
  const [only, ...others] = backends;
  const plain = only !== undefined && only.requestHeaders === null && only.responseHeaders === null;
  if (plain && others.length === 0 && unresolvedWeight === 0) return { $case: 'cluster', value: name(only) };
  const clusters = backends.map((backend) => ({
    name: name(backend),
    weight: backend.weight,
    ...headerEdits(backend.requestHeaders, backend.responseHeaders),
  }));
  if (unresolvedWeight > 0) clusters.push({ name: UNRESOLVED, weight: unresolvedWeight, ...headerEdits(null, null) });
  return { $case: 'weightedClusters', value: { clusters } };
}

type HeaderEdits = Pick<
  RouteMessage,
  'requestHeadersToAdd' | 'requestHeadersToRemove' | 'responseHeadersToAdd' | 'responseHeadersToRemove'
>;

function headerEdits(request: HeaderChange | null, response: HeaderChange | null): HeaderEdits {
  return {
    requestHeadersToAdd: headerOptions(request),
    requestHeadersToRemove: [...(request?.remove ?? [])],
    responseHeadersToAdd: headerOptions(response),
    responseHeadersToRemove: [...(response?.remove ?? [])],
  };
}

function headerOptions(change: HeaderChange | null): HeaderValueOption[] {
  return [
    ...(change?.set ?? []).map((pair) => headerOption(pair, Append.OVERWRITE_IF_EXISTS_OR_ADD)),
    ...(change?.add ?? []).map((pair) => headerOption(pair, Append.APPEND_IF_EXISTS_OR_ADD)),
  ];
}

/** `%` begins a substitution (Envoy, custom request/response headers). */
function headerOption([key, value]: readonly [string, string], appendAction: Append): HeaderValueOption {
  return { header: { key, value: value.replaceAll('%', '%%') }, appendAction };
}
