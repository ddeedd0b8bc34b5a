/**
 * Retries of a route and its fallback: Envoy's policy, and in our own metadata what Envoy has no field for.
 * Knows no budget: that is the cluster's.
 */
import { RetryPolicy as RetryPolicyMessage } from '#api/generated/envoy/config/route/v3/route.ts';
import type { Any } from '#api/generated/google/protobuf/any.ts';
import { Fallback, RetryOptions } from '#api/generated/tulle/config/v1/config.ts';
import { EXTENSION } from '#api/names.ts';
import type { FallbackPolicy, RetryCondition, RetryPolicy, RoutePolicy } from '../model/policy.ts';
import { duration, pack } from './messages.ts';

/** Envoy's words (`x-envoy-retry-on`). */
const RETRY_ON: Readonly<Record<RetryCondition, string>> = {
  'connect-failure': 'connect-failure',
  'refused-stream': 'refused-stream',
  reset: 'reset',
  'gateway-error': 'gateway-error',
  '5xx': '5xx',
  'retriable-status': 'retriable-status-codes',
};

export function retryPolicy({ retry, perTryTimeoutMs }: RoutePolicy): RetryPolicyMessage | undefined {
  const perTryTimeout = perTryTimeoutMs > 0 ? { perTryTimeout: duration(perTryTimeoutMs) } : {};
  if (retry === null)
    return perTryTimeoutMs > 0 ? RetryPolicyMessage.fromPartial({ numRetries: 0, ...perTryTimeout }) : undefined;
  const on = [...retry.retryOn.map((condition) => RETRY_ON[condition]), ...retry.grpc];
  return RetryPolicyMessage.fromPartial({
    retryOn: on.join(','),
    numRetries: retry.attempts,
    ...perTryTimeout,
    retriableStatusCodes: [...retry.statuses],
    retryBackOff: { baseInterval: duration(retry.backoffBaseMs), maxInterval: duration(retry.backoffMaxMs) },
  });
}

export function retryOptions({ methods, idempotencyKeyHeader, safeResets, backoffMinMs, hedge }: RetryPolicy): Any {
  const minBackoff = backoffMinMs === 0 ? undefined : duration(backoffMinMs);
  const hedges = hedge === null ? {} : { hedgeAfter: duration(hedge.afterMs), maxHedges: hedge.max };
  const options = { methods: [...methods], idempotencyKeyHeader, safeResets, minBackoff, ...hedges };
  return pack(EXTENSION.retryOptions, RetryOptions, RetryOptions.fromPartial(options));
}

/** What answers in the place of the route's clusters. @param clusterName of a Service port */
export function fallbackMessage(
  fallback: FallbackPolicy,
  clusterName: (backend: { readonly service: string; readonly namespace: string; readonly port: number }) => string,
): Any {
  if (fallback.kind === 'backend') {
    return pack(
      EXTENSION.fallback,
      Fallback,
      Fallback.fromPartial({ kind: { $case: 'cluster', value: clusterName(fallback) } }),
    );
  }
  const { status, headers, body } = fallback;
  const value = { status, headers: headers.map(([name, text]) => ({ name, value: text })), body };
  return pack(EXTENSION.fallback, Fallback, Fallback.fromPartial({ kind: { $case: 'response', value } }));
}
