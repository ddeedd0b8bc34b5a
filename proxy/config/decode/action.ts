/**
 * What a route does: forward to clusters, redirect, or answer by itself.
 * Constraints are those of Envoy's route_components.proto. Whether a named cluster exists is not asked here.
 */
import {
  RedirectAction_RedirectResponseCode as Code,
  RouteAction_ClusterNotFoundResponseCode as NotFound,
  type DirectResponseAction,
  type RedirectAction,
  type Route,
  type RouteAction,
  type RouteAction_RequestMirrorPolicy,
  type VirtualHost,
  type WeightedCluster,
} from '#api/generated/envoy/config/route/v3/route.ts';
import type { RegexMatchAndSubstitute } from '#api/generated/envoy/type/matcher/v3/matcher.ts';
import type { Problems } from '#base/problems.ts';
import { linearSearch } from '#base/regex.ts';
import type {
  ForwardConfig,
  RedirectConfig,
  RegexRewriteConfig,
  RouteActionConfig,
  WeightedClusterConfig,
} from '../snapshot.ts';
import { durationMs } from './duration.ts';
import { decodeHeaderEdits } from './headers.ts';
import { percentOf } from './percent.ts';
import { decodeFallback, decodeRetryOptions } from './metadata.ts';
import { decodeRetry } from './retry.ts';
import { decodeSession } from './sessions.ts';
import { at, refuse } from './unsupported.ts';

/** Envoy `RouteAction.timeout`: "If not specified, the default is 15s". */
const DEFAULT_TIMEOUT_MS = 15_000;
const MAX_WEIGHT_SUM = 4_294_967_295;

const NOTHING: RouteActionConfig = { kind: 'respond', status: 500, body: '' };

const REDIRECT_STATUS: Readonly<Record<number, RedirectConfig['status']>> = {
  [Code.MOVED_PERMANENTLY]: 301,
  [Code.FOUND]: 302,
  [Code.SEE_OTHER]: 303,
  [Code.TEMPORARY_REDIRECT]: 307,
  [Code.PERMANENT_REDIRECT]: 308,
};

/** What of a virtual host concerns its routes: a retry policy for those that have none, and whether tries are counted in a header. */
export type HostDefaults = Pick<VirtualHost, 'retryPolicy' | 'includeRequestAttemptCount'>;

export function decodeAction(
  route: Route,
  host: HostDefaults,
  maxBodyBytes: number,
  path: string,
  problems: Problems,
): RouteActionConfig {
  switch (route.action?.$case) {
    case 'route':
      return decodeForward(route, route.action.value, host, path, problems);
    case 'redirect':
      return { kind: 'redirect', redirect: decodeRedirect(route.action.value, at(path, 'redirect'), problems) };
    case 'directResponse':
      return decodeResponse(route.action.value, maxBodyBytes, at(path, 'direct_response'), problems);
    case undefined:
      problems.add(path, 'no action set', 'set route, redirect or direct_response');
      return NOTHING;
  }
}

function decodeForward(
  route: Route,
  action: RouteAction,
  host: HostDefaults,
  path: string,
  problems: Problems,
): ForwardConfig {
  const where = at(path, 'route');
  const policy = action.retryPolicy ?? host.retryPolicy;
  if (action.prefixRewrite !== '' && route.match?.pathSpecifier?.$case === 'safeRegex') {
    problems.add(at(where, 'prefix_rewrite'), 'cannot be used with safe_regex', 'match by prefix or path');
  }
  if (action.prefixRewrite !== '' && action.regexRewrite !== undefined) {
    problems.add(at(where, 'regex_rewrite'), 'cannot be used with prefix_rewrite', 'set one of them');
  }
  refuseUpgrades(action.upgradeConfigs, at(where, 'upgrade_configs'), problems);
  return {
    kind: 'forward',
    clusters: decodeClusters(action, where, problems),
    prefixRewrite: action.prefixRewrite,
    ...decodeRegexRewrite(action.regexRewrite, at(where, 'regex_rewrite'), problems),
    hostRewrite: action.hostRewriteSpecifier?.value ?? '',
    timeoutMs: durationMs(action.timeout, at(where, 'timeout'), problems, DEFAULT_TIMEOUT_MS),
    ...decodeMissingCluster(action, where, problems),
    idleTimeoutMs: durationMs(action.idleTimeout, at(where, 'idle_timeout'), problems, 0),
    retry:
      policy === undefined
        ? null
        : decodeRetry(policy, decodeRetryOptions(route.metadata, path, problems), at(where, 'retry_policy'), problems),
    ...fallbackOf(route, path, problems),
    ...decodeSession(route, path, problems),
    ...decodeMirrors(action.requestMirrorPolicies, at(where, 'request_mirror_policies'), problems),
    ...(host.includeRequestAttemptCount && { countAttempts: true }),
  };
}

function fallbackOf(route: Route, path: string, problems: Problems): Pick<ForwardConfig, 'fallback'> {
  const fallback = decodeFallback(route.metadata, path, problems);
  return fallback === null ? {} : { fallback };
}

function decodeMirrors(
  policies: readonly RouteAction_RequestMirrorPolicy[],
  path: string,
  problems: Problems,
): Pick<ForwardConfig, 'mirrors'> {
  if (policies.length === 0) return {};
  const mirrors = policies.map(({ cluster, runtimeFraction }, i) => {
    if (cluster === '') problems.add(`${path}[${i}].cluster`, 'must not be empty');
    return { cluster, percent: runtimeFraction === undefined ? 100 : percentOf(runtimeFraction.defaultValue) };
  });
  return { mirrors };
}

function decodeMissingCluster(
  { clusterNotFoundResponseCode: code }: RouteAction,
  path: string,
  problems: Problems,
): Pick<ForwardConfig, 'missingCluster'> {
  if (code === NotFound.INTERNAL_SERVER_ERROR) return { missingCluster: 'unavailable-destination' };
  if (code !== NotFound.SERVICE_UNAVAILABLE) {
    const supported = 'SERVICE_UNAVAILABLE, INTERNAL_SERVER_ERROR';
    refuse(problems, at(path, 'cluster_not_found_response_code'), `value ${code}`, supported);
  }
  return {};
}

/** WebSocket is the one upgrade that other clients have to be told of; the sidecar tunnels it anyway. */
export function refuseUpgrades(
  upgrades: readonly { readonly upgradeType: string }[],
  path: string,
  problems: Problems,
): void {
  for (const [i, { upgradeType }] of upgrades.entries()) {
    if (upgradeType.toLowerCase() !== 'websocket')
      refuse(problems, `${path}[${i}]`, `upgrade ${upgradeType}`, 'websocket');
  }
}

/** Groups are written as RE2 does: `\1`, and two backslashes for one (Envoy `RegexMatchAndSubstitute`). */
function decodeRegexRewrite(
  rewrite: RegexMatchAndSubstitute | undefined,
  path: string,
  problems: Problems,
): { readonly regexRewrite?: RegexRewriteConfig } {
  if (rewrite === undefined) return {};
  const { pattern, substitution } = rewrite;
  const regex = pattern?.regex ?? '';
  const checked = linearSearch(regex);
  if (regex === '') problems.add(at(path, 'pattern.regex'), 'must not be empty');
  else if (!checked.ok) problems.add(at(path, 'pattern.regex'), checked.error, 'write it in the syntax of RE2');
  if (!/^(?:[\x21-\x5b\x5d-\x7e]|\\[\d\\])*$/.test(substitution)) {
    problems.add(at(path, 'substitution'), 'must be visible ASCII, with \\0 to \\9 for groups');
  }
  const groups = linearSearch(`${regex}|`);
  const named = [...substitution.matchAll(/\\(.)/g)].map(([, mark]) => Number(mark)).filter((mark) => mark > 0);
  if (groups.ok && Math.max(0, ...named) >= (groups.value.exec('')?.length ?? 0)) {
    problems.add(at(path, 'substitution'), 'names a group that the pattern does not have');
  }
  return { regexRewrite: { regex, substitution } };
}

function decodeClusters(action: RouteAction, path: string, problems: Problems): readonly WeightedClusterConfig[] {
  switch (action.clusterSpecifier?.$case) {
    case 'cluster':
      if (action.clusterSpecifier.value === '') problems.add(at(path, 'cluster'), 'must not be empty');
      return [{ cluster: action.clusterSpecifier.value, weight: 1, requestHeaders: null, responseHeaders: null }];
    case 'weightedClusters':
      return decodeWeighted(action.clusterSpecifier.value, at(path, 'weighted_clusters'), problems);
    case undefined:
      problems.add(path, 'no cluster_specifier set', 'set cluster or weighted_clusters');
      return [];
  }
}

function decodeWeighted(weighted: WeightedCluster, path: string, problems: Problems): readonly WeightedClusterConfig[] {
  const clusters = weighted.clusters.map((cluster, i): WeightedClusterConfig => {
    const where = at(path, `clusters[${i}]`);
    if (cluster.name === '') problems.add(at(where, 'name'), 'must not be empty');
    const { requestHeadersToAdd, requestHeadersToRemove, responseHeadersToAdd, responseHeadersToRemove } = cluster;
    return {
      cluster: cluster.name,
      weight: cluster.weight ?? 0,
      requestHeaders: decodeHeaderEdits(requestHeadersToAdd, requestHeadersToRemove, 'request', where, problems),
      responseHeaders: decodeHeaderEdits(responseHeadersToAdd, responseHeadersToRemove, 'response', where, problems),
    };
  });
  const sum = clusters.reduce((total, cluster) => total + cluster.weight, 0);
  if (sum < 1 || sum > MAX_WEIGHT_SUM) problems.add(path, `weights add up to ${sum}`, `from 1 to ${MAX_WEIGHT_SUM}`);
  return clusters;
}

function decodeRedirect(redirect: RedirectAction, path: string, problems: Problems): RedirectConfig {
  const scheme = redirect.schemeRewriteSpecifier;
  const rewrite = redirect.pathRewriteSpecifier;
  const status = REDIRECT_STATUS[redirect.responseCode];
  if (status === undefined) refuse(problems, at(path, 'response_code'), `value ${redirect.responseCode}`);
  if (redirect.portRedirect > 65_535) problems.add(at(path, 'port_redirect'), 'must be a port');
  const text = rewrite?.$case === 'regexRewrite' ? '' : (rewrite?.value ?? '');
  if (/[\s\p{Cc}]/u.test(`${redirect.hostRedirect}${text}`)) {
    problems.add(path, 'host_redirect, path_redirect and prefix_rewrite must not hold spaces or control characters');
  }
  const named = scheme?.$case === 'schemeRedirect' ? scheme.value.toLowerCase() : '';
  if (named !== '' && !/^[a-z][a-z\d+.-]*$/.test(named)) problems.add(at(path, 'scheme_redirect'), 'must be a scheme');
  return {
    scheme: scheme?.$case === 'httpsRedirect' && scheme.value ? 'https' : named,
    host: redirect.hostRedirect,
    port: redirect.portRedirect,
    path: rewrite?.$case === 'pathRedirect' ? rewrite.value : '',
    prefixRewrite: rewrite?.$case === 'prefixRewrite' ? rewrite.value : '',
    ...(rewrite?.$case === 'regexRewrite' && decodeRegexRewrite(rewrite.value, at(path, 'regex_rewrite'), problems)),
    status: status ?? 301,
  };
}

function decodeResponse(
  response: DirectResponseAction,
  maxBodyBytes: number,
  path: string,
  problems: Problems,
): RouteActionConfig {
  if (response.status < 200 || response.status > 599) problems.add(at(path, 'status'), 'must be from 200 to 599');
  const specifier = response.body?.specifier;
  if (specifier?.$case === 'filename')
    refuse(problems, at(path, 'body.filename'), 'a body from a file', 'inline_string');
  const body = specifier?.$case === 'inlineBytes' ? Buffer.from(specifier.value).toString() : (specifier?.value ?? '');
  if (Buffer.byteLength(body) > maxBodyBytes) problems.add(at(path, 'body'), `is longer than ${maxBodyBytes} bytes`);
  return { kind: 'respond', status: response.status, body };
}
