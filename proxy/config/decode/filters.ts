/**
 * What stands between a request and the action of its route: `tracing`, `typed_per_filter_config` with Envoy's fault and local rate limit filters,
 * and rate limits with keys, which are ours, in the metadata. Other filters' entries are refused, as Envoy refuses what it does not know.
 */
import type { Route, Tracing } from '#api/generated/envoy/config/route/v3/route.ts';
import { CorsPolicy } from '#api/generated/envoy/extensions/filters/http/cors/v3/cors.ts';
import { HTTPFault } from '#api/generated/envoy/extensions/filters/http/fault/v3/fault.ts';
import { LocalRateLimit } from '#api/generated/envoy/extensions/filters/http/local_ratelimit/v3/local_rate_limit.ts';
import type { RuntimeFractionalPercent } from '#api/generated/envoy/config/core/v3/core.ts';
import type { RateLimit_Key } from '#api/generated/tulle/config/v1/config.ts';
import type { Any } from '#api/generated/google/protobuf/any.ts';
import { EXTENSION, METADATA } from '#api/names.ts';
import type { Problems } from '#base/problems.ts';
import type {
  FaultConfig,
  RateLimitConfig,
  RateLimitKeyConfig,
  RequestFilterConfig,
  SamplingConfig,
} from '../request-filters.ts';
import type { RouteConfig } from '../snapshot.ts';
import { decodeCors } from './cors.ts';
import { durationMs } from './duration.ts';
import { decodeHeader, TOKEN } from './match.ts';
import { readMessage, shortType } from './message.ts';
import { decodeRateLimit } from './metadata.ts';
import { percentOf } from './percent.ts';
import { at, refuse } from './unsupported.ts';

/** Rate limits first: what is refused for its rate is not held as well. */
export function decodeFilters(route: Route, path: string, problems: Problems): Pick<RouteConfig, 'filters'> {
  const filters: RequestFilterConfig[] = [];
  const keyed = decodeKeyed(route, path, problems);
  if (keyed !== null) filters.push(keyed);
  for (const [name, any] of Object.entries(route.typedPerFilterConfig)) {
    if (any.typeUrl === EXTENSION.corsPolicy || any.typeUrl === EXTENSION.statefulSession) continue;
    const filter = decodeFilter(any, `${at(path, 'typed_per_filter_config')}["${name}"]`, problems);
    if (filter !== null) filters.push(filter);
  }
  const sampling = decodeSampling(route.tracing, at(path, 'tracing'), problems);
  if (filters.length === 0 && sampling === null) return {};
  const sorted = filters.sort((a, b) => Number(a.kind === 'fault') - Number(b.kind === 'fault'));
  return { filters: sampling === null ? sorted : [sampling, ...sorted] };
}

/** Who may ask across origins stands apart: it changes the route before anything holds the request. */
export function decodeRouteCors(route: Route, path: string, problems: Problems): Pick<RouteConfig, 'cors'> {
  for (const [name, any] of Object.entries(route.typedPerFilterConfig)) {
    if (any.typeUrl !== EXTENSION.corsPolicy) continue;
    const where = `${at(path, 'typed_per_filter_config')}["${name}"]`;
    const policy = readMessage(CorsPolicy, any.value, where, problems);
    return policy === null ? {} : { cors: decodeCors(policy, where, problems) };
  }
  return {};
}

/** A decision that a request brings is kept whatever is said here, as with Envoy's defaults for the other two shares. */
function decodeSampling(tracing: Tracing | undefined, path: string, problems: Problems): SamplingConfig | null {
  if (tracing === undefined) return null;
  const { clientSampling, randomSampling, overallSampling } = tracing;
  if (clientSampling !== undefined && percentOf(clientSampling) !== 100)
    refuse(problems, at(path, 'client_sampling'), 'a share of requests', 'all');
  if (overallSampling !== undefined && percentOf(overallSampling) !== 100)
    refuse(problems, at(path, 'overall_sampling'), 'a share of requests', 'all');
  return randomSampling === undefined ? null : { kind: 'sampling', percent: percentOf(randomSampling) };
}

function decodeFilter(any: Any, path: string, problems: Problems): RequestFilterConfig | null {
  if (any.typeUrl === EXTENSION.fault) {
    const fault = readMessage(HTTPFault, any.value, path, problems);
    return fault === null ? null : decodeFault(fault, path, problems);
  }
  if (any.typeUrl === EXTENSION.localRateLimit) {
    const limit = readMessage(LocalRateLimit, any.value, path, problems);
    return limit === null ? null : decodeLocal(limit, path, problems);
  }
  refuse(problems, path, shortType(any.typeUrl), 'CorsPolicy, HTTPFault, LocalRateLimit, StatefulSessionPerRoute');
  return null;
}

function decodeFault({ delay, abort, headers }: HTTPFault, path: string, problems: Problems): FaultConfig {
  const fixed = delay?.faultDelaySecifier?.value;
  if (delay !== undefined && fixed === undefined) problems.add(at(path, 'delay'), 'must have fixed_delay');
  const status = abort?.errorType?.value ?? 0;
  if (abort !== undefined && (status < 200 || status > 599)) {
    problems.add(at(path, 'abort.http_status'), 'must be from 200 to 599');
  }
  return {
    kind: 'fault',
    delayMs: durationMs(fixed, at(path, 'delay.fixed_delay'), problems, 0, 1),
    delayPercent: percentOf(delay?.percentage),
    abortStatus: status,
    abortPercent: percentOf(abort?.percentage),
    headers: headers.map((header, i) => decodeHeader(header, at(path, `headers[${i}]`), problems)),
  };
}

/** Null: it is not to be enforced. Envoy's default for both shares is none. */
function decodeLocal(limit: LocalRateLimit, path: string, problems: Problems): RateLimitConfig | null {
  const { statPrefix, tokenBucket, filterEnabled, filterEnforced } = limit;
  if (statPrefix === '') problems.add(at(path, 'stat_prefix'), 'must not be empty');
  const enabled = wholeShare(filterEnabled, at(path, 'filter_enabled'), problems);
  const enforced = wholeShare(filterEnforced, at(path, 'filter_enforced'), problems);
  if (tokenBucket === undefined) {
    problems.add(at(path, 'token_bucket'), 'must be set');
    return null;
  }
  const requests = tokenBucket.tokensPerFill ?? 1;
  const where = at(path, 'token_bucket');
  if (requests < 1) problems.add(at(where, 'tokens_per_fill'), 'must be at least 1');
  if (tokenBucket.maxTokens < 1) problems.add(at(where, 'max_tokens'), 'must be at least 1');
  const perMs = durationMs(tokenBucket.fillInterval, at(where, 'fill_interval'), problems, 1000, 1);
  const config = { kind: 'rate-limit', name: statPrefix, requests, perMs, burst: tokenBucket.maxTokens } as const;
  return enabled && enforced ? { ...config, key: [] } : null;
}

function wholeShare(share: RuntimeFractionalPercent | undefined, path: string, problems: Problems): boolean {
  const percent = percentOf(share?.defaultValue);
  if (percent !== 0 && percent !== 100) refuse(problems, path, 'a share of requests', 'none or all');
  return percent === 100;
}

function decodeKeyed(route: Route, path: string, problems: Problems): RateLimitConfig | null {
  const limit = decodeRateLimit(route.metadata, path, problems);
  if (limit === null) return null;
  const where = `${at(path, 'metadata.typed_filter_metadata')}["${METADATA.rateLimit}"]`;
  const { name, requests, burst, keys } = limit;
  if (requests < 1 || burst < 1) problems.add(where, 'requests and burst must be at least 1');
  const perMs = durationMs(limit.per, at(where, 'per'), problems, 1000, 1);
  const key = keys.map((one, i) => decodeKey(one, at(where, `keys[${i}]`), problems));
  return { kind: 'rate-limit', name, requests, perMs, burst, key };
}

function decodeKey({ kind }: RateLimit_Key, path: string, problems: Problems): RateLimitKeyConfig {
  switch (kind?.$case) {
    case 'header':
      if (!TOKEN.test(kind.value)) problems.add(at(path, 'header'), 'must be a header name');
      return { kind: 'header', name: kind.value.toLowerCase() };
    case 'pathTemplate':
      if (!kind.value.startsWith('/')) problems.add(at(path, 'path_template'), 'must begin with /');
      return { kind: 'path', segments: segmentsOf(kind.value) };
    case 'sourceAddress':
      return { kind: 'address' };
    case 'clientIdentity':
      return { kind: 'identity' };
    case undefined:
      problems.add(path, 'says nothing', 'set client_identity, source_address, header or path_template');
      return { kind: 'identity' };
  }
}

/** `/users/{id}`: `users` and a variable. */
function segmentsOf(template: string): readonly (string | null)[] {
  return template
    .split('/')
    .slice(1)
    .map((segment) => (/^\{.*\}$/.test(segment) ? null : segment));
}
