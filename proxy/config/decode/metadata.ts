/**
 * Our typed extensions in `typed_filter_metadata`, and the one Envoy key in `filter_metadata` that counts.
 * Entries under other keys belong to others and are skipped, as Envoy does; an unknown type under a key of ours is refused.
 */
import type { Metadata } from '#api/generated/envoy/config/core/v3/core.ts';
import type { RouteAction_HashPolicy as EnvoyHashPolicy } from '#api/generated/envoy/config/route/v3/route.ts';
import {
  Fallback,
  HashPolicy,
  OutboundPolicy,
  RateLimit,
  OutlierOptions,
  RetryBudget,
  RetryOptions,
  ServiceRef,
  SessionOptions,
  WorkloadRef,
} from '#api/generated/tulle/config/v1/config.ts';
import { EXTENSION, METADATA, TLS_MODE_FIELD, TLS_MODE_MTLS, TRANSPORT_SOCKET_MATCH } from '#api/names.ts';
import type { Problems } from '#base/problems.ts';
import type { ClusterConfig, EndpointConfig, OutboundConfig, ServiceRef as ServiceRefConfig } from '../snapshot.ts';
import { isFieldValue } from '../../http/grammar.ts';
import type { FallbackConfig } from '../retries.ts';
import { durationMs } from './duration.ts';
import { TOKEN } from './match.ts';
import { readMessage, shortType, type Codec } from './message.ts';
import { at, refuse } from './unsupported.ts';

export type RetryBudgetConfig = ClusterConfig['retryBudget'];

function entry<T extends object>(
  metadata: Metadata | undefined,
  key: string,
  typeUrl: string,
  codec: Codec<T>,
  path: string,
  problems: Problems,
): T | null {
  const any = metadata?.typedFilterMetadata[key];
  if (any === undefined) return null;
  const where = `${at(path, 'metadata.typed_filter_metadata')}["${key}"]`;
  if (any.typeUrl === typeUrl) return readMessage(codec, any.value, where, problems);
  refuse(problems, where, shortType(any.typeUrl), shortType(typeUrl));
  return null;
}

/** `tulle.service`: which Service port a listener or cluster is. */
export function decodeServiceRef(
  metadata: Metadata | undefined,
  path: string,
  problems: Problems,
): ServiceRefConfig | null {
  const ref = entry(metadata, METADATA.service, EXTENSION.serviceRef, ServiceRef, path, problems);
  return ref === null ? null : { namespace: ref.namespace, name: ref.name, port: ref.port };
}

/** `tulle.hash_policy`: what is hashed of a request; empty when nothing is said. */
export function decodeHashPolicy(
  metadata: Metadata | undefined,
  path: string,
  problems: Problems,
): readonly EnvoyHashPolicy[] {
  return entry(metadata, METADATA.hashPolicy, EXTENSION.hashPolicy, HashPolicy, path, problems)?.policies ?? [];
}

/** `tulle.outbound`: what holds for all outbound connections; null when nothing is said. */
export function decodeOutbound(
  metadata: Metadata | undefined,
  path: string,
  problems: Problems,
): OutboundConfig | null {
  const policy = entry(metadata, METADATA.outbound, EXTENSION.outboundPolicy, OutboundPolicy, path, problems);
  return policy === null ? null : { refuseUnknown: policy.refuseUnknown, namedPorts: policy.namedPorts };
}

/** `tulle.retry`: what narrows a route's retry policy. */
export function decodeRetryOptions(
  metadata: Metadata | undefined,
  path: string,
  problems: Problems,
): RetryOptions | null {
  return entry(metadata, METADATA.retry, EXTENSION.retryOptions, RetryOptions, path, problems);
}

/** `tulle.session`: how long sessions last; null when nothing is said. */
export function decodeSessionOptions(
  metadata: Metadata | undefined,
  path: string,
  problems: Problems,
): SessionOptions | null {
  return entry(metadata, METADATA.session, EXTENSION.sessionOptions, SessionOptions, path, problems);
}

/** `tulle.fallback`: what answers in the place of a route's clusters; null when nothing does. */
export function decodeFallback(
  metadata: Metadata | undefined,
  path: string,
  problems: Problems,
): FallbackConfig | null {
  const fallback = entry(metadata, METADATA.fallback, EXTENSION.fallback, Fallback, path, problems);
  if (fallback === null) return null;
  const where = `${at(path, 'metadata.typed_filter_metadata')}["${METADATA.fallback}"]`;
  switch (fallback.kind?.$case) {
    case 'cluster':
      if (fallback.kind.value === '') problems.add(`${where}.cluster`, 'must not be empty');
      return { kind: 'cluster', cluster: fallback.kind.value };
    case 'response': {
      const { status, headers, body } = fallback.kind.value;
      if (status < 200 || status > 599) problems.add(`${where}.response.status`, 'must be from 200 to 599');
      for (const [i, { name, value }] of headers.entries()) {
        if (!TOKEN.test(name) || !isFieldValue(value))
          problems.add(`${where}.response.headers[${i}]`, 'must be a header');
      }
      const fields = headers.map(({ name, value }) => [name.toLowerCase(), value] as const);
      return { kind: 'response', status, headers: fields, body };
    }
    case undefined:
      problems.add(where, 'says nothing', 'set cluster or response');
      return null;
  }
}

/** `tulle.rate_limit`: a rate limit with keys. */
export function decodeRateLimit(metadata: Metadata | undefined, path: string, problems: Problems): RateLimit | null {
  return entry(metadata, METADATA.rateLimit, EXTENSION.rateLimit, RateLimit, path, problems);
}

/** `tulle.retry_budget`; null when there is none. */
export function decodeRetryBudget(
  metadata: Metadata | undefined,
  path: string,
  problems: Problems,
): RetryBudgetConfig | null {
  const budget = entry(metadata, METADATA.retryBudget, EXTENSION.retryBudget, RetryBudget, path, problems);
  if (budget === null) return null;
  const where = `${at(path, 'metadata.typed_filter_metadata')}["${METADATA.retryBudget}"]`;
  const { percent, minPerSecond } = budget;
  if (!(percent >= 0 && percent <= 100)) problems.add(`${where}.percent`, 'must be from 0 to 100');
  if (!(minPerSecond >= 0 && minPerSecond <= 1e6)) problems.add(`${where}.min_per_second`, 'must be from 0 to 1000000');
  return {
    percent,
    minPerSecond,
    intervalMs: durationMs(budget.interval, `${where}.interval`, problems, 10_000, 1000),
  };
}

/** `tulle.outlier`: how many endpoints stay; null when nothing is said. */
export function decodeKeptEndpoints(metadata: Metadata | undefined, path: string, problems: Problems): number | null {
  return (
    entry(metadata, METADATA.outlier, EXTENSION.outlierOptions, OutlierOptions, path, problems)?.keepEndpoints ?? null
  );
}

/** `tulle.workload`: who answers at an endpoint, and the identity it must prove. */
export function decodeWorkload(
  metadata: Metadata | undefined,
  path: string,
  problems: Problems,
): { readonly workload: EndpointConfig['workload']; readonly identity: string } {
  const ref = entry(metadata, METADATA.workload, EXTENSION.workloadRef, WorkloadRef, path, problems);
  if (ref === null) return { workload: null, identity: '' };
  return { workload: { namespace: ref.namespace, pod: ref.pod, owner: ref.workload }, identity: ref.identity };
}

/** Whether an endpoint's transport socket match, or that of a cluster's `transport_socket_matches`, means mutual TLS. */
export function saysMtls(match: Readonly<Record<string, unknown>> | undefined): boolean {
  return match?.[TLS_MODE_FIELD] === TLS_MODE_MTLS;
}

/** The transport socket match of an endpoint. */
export function transportSocketMatch(metadata: Metadata | undefined): Readonly<Record<string, unknown>> | undefined {
  return metadata?.filterMetadata[TRANSPORT_SOCKET_MATCH];
}
