/**
 * What holds a request before it is sent: faults where it leaves, rate limits where it arrives, as Envoy's filters and, where a limit has
 * keys, as an extension of ours. Knows no cluster.
 */
import type { HttpFilter } from '#api/generated/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.ts';
import { Tracing, type Route } from '#api/generated/envoy/config/route/v3/route.ts';
import { Cors } from '#api/generated/envoy/extensions/filters/http/cors/v3/cors.ts';
import { HTTPFault } from '#api/generated/envoy/extensions/filters/http/fault/v3/fault.ts';
import { LocalRateLimit } from '#api/generated/envoy/extensions/filters/http/local_ratelimit/v3/local_rate_limit.ts';
import {
  FractionalPercent_DenominatorType as Denominator,
  type FractionalPercent,
} from '#api/generated/envoy/type/v3/type.ts';
import { StatefulSession } from '#api/generated/envoy/extensions/filters/http/stateful_session/v3/stateful_session.ts';
import type { Any } from '#api/generated/google/protobuf/any.ts';
import { RateLimit, type RateLimit_Key } from '#api/generated/tulle/config/v1/config.ts';
import { EXTENSION, HTTP_FILTER, METADATA } from '#api/names.ts';
import type { FaultPolicy, RateLimitPolicy } from '../model/policy.ts';
import { duration, pack } from './messages.ts';

/** Filters that do nothing where no route asks for them. Optional: gRPC knows that for faults only. */
export const IDLE_FILTERS: readonly HttpFilter[] = [
  idle(HTTP_FILTER.cors, pack(EXTENSION.cors, Cors, {})),
  idle(HTTP_FILTER.fault, pack(EXTENSION.fault, HTTPFault, HTTPFault.fromPartial({}))),
  idle(
    HTTP_FILTER.localRateLimit,
    pack(EXTENSION.localRateLimit, LocalRateLimit, LocalRateLimit.fromPartial({ statPrefix: 'rate_limit' })),
  ),
  idle(
    HTTP_FILTER.statefulSession,
    pack(EXTENSION.statefulSessionFilter, StatefulSession, StatefulSession.fromPartial({})),
  ),
];

function idle(name: string, value: Any): HttpFilter {
  return { name, configType: { $case: 'typedConfig', value }, isOptional: true };
}

/** An entry of `typed_per_filter_config`. */
export function faultConfig(fault: FaultPolicy | null): Readonly<Record<string, Any>> {
  if (fault === null) return {};
  const message = HTTPFault.fromPartial({
    ...(fault.delay !== null && {
      delay: {
        faultDelaySecifier: { $case: 'fixedDelay', value: duration(fault.delay.durationMs) },
        percentage: share(fault.delay.percent),
      },
    }),
    ...(fault.abort !== null && {
      abort: { errorType: { $case: 'httpStatus', value: fault.abort.status }, percentage: share(fault.abort.percent) },
    }),
    headers: fault.headers.map(({ name, value }) => ({
      name,
      headerMatchSpecifier: {
        $case: 'stringMatch',
        value: { matchPattern: { $case: 'exact', value } },
      },
    })),
  });
  return { [HTTP_FILTER.fault]: pack(EXTENSION.fault, HTTPFault, message) };
}

/** Traces that begin with such a request; those that come with a decision keep it. */
export function tracing(sampling: number | null): Tracing | undefined {
  return sampling === null ? undefined : Tracing.fromPartial({ randomSampling: share(sampling) });
}

/** @param percent with four digits after the point at most */
export function share(percent: number): FractionalPercent {
  return { numerator: Math.round(percent * 10_000), denominator: Denominator.MILLION };
}

const ALL = { defaultValue: { numerator: 100, denominator: Denominator.HUNDRED } };

/** @param name tells limits of the same figures apart */
export function limitRoute(route: Route, name: string, limit: RateLimitPolicy): Route {
  const { requests, perMs, burst, key } = limit;
  if (key.length > 0) {
    const message = { name, requests, per: duration(perMs), burst, keys: key.map(keyMessage) };
    const metadata = route.metadata ?? { filterMetadata: {}, typedFilterMetadata: {} };
    const typedFilterMetadata = {
      ...metadata.typedFilterMetadata,
      [METADATA.rateLimit]: pack(EXTENSION.rateLimit, RateLimit, message),
    };
    return { ...route, metadata: { ...metadata, typedFilterMetadata } };
  }
  const message = LocalRateLimit.fromPartial({
    statPrefix: name,
    tokenBucket: { maxTokens: burst, tokensPerFill: requests, fillInterval: duration(perMs) },
    filterEnabled: ALL,
    filterEnforced: ALL,
    rateLimitedAsResourceExhausted: true,
  });
  const config = { [HTTP_FILTER.localRateLimit]: pack(EXTENSION.localRateLimit, LocalRateLimit, message) };
  return { ...route, typedPerFilterConfig: { ...route.typedPerFilterConfig, ...config } };
}

function keyMessage(key: RateLimitPolicy['key'][number]): RateLimit_Key {
  if (key.kind === 'header' || key.kind === 'pathTemplate') return { kind: { $case: key.kind, value: key.value } };
  return { kind: { $case: key.kind, value: true } };
}
