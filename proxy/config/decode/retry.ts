/**
 * `RetryPolicy` of a route or virtual host, narrowed by `tulle.retry` in the route's metadata.
 * Which tries are safe is decided where requests are forwarded, not here.
 */
import type { RetryPolicy } from '#api/generated/envoy/config/route/v3/route.ts';
import type { RetryOptions } from '#api/generated/tulle/config/v1/config.ts';
import type { Problems } from '#base/problems.ts';
import type { GrpcRetryOn, RetryConfig, RetryOn } from '../retries.ts';
import { durationMs } from './duration.ts';
import { TOKEN } from './match.ts';
import { at, refuse } from './unsupported.ts';

const CONDITIONS: readonly RetryOn[] = [
  'connect-failure',
  'refused-stream',
  'reset',
  'gateway-error',
  '5xx',
  'retriable-status-codes',
];

const GRPC_CONDITIONS: readonly GrpcRetryOn[] = [
  'cancelled',
  'deadline-exceeded',
  'internal',
  'resource-exhausted',
  'unavailable',
];

/** Envoy's defaults (`RetryPolicy.num_retries`, `RetryBackOff`). */
const DEFAULT_RETRIES = 1;
const DEFAULT_BASE_MS = 25;
const MAX_RETRIES = 100;
const MAX_HEDGES = 10;

/** Path is that of the policy; `options` have their own place and are checked there. */
export function decodeRetry(
  policy: RetryPolicy,
  options: RetryOptions | null,
  path: string,
  problems: Problems,
): RetryConfig {
  refuseUnsupported(policy, path, problems);
  const attempts = policy.numRetries ?? DEFAULT_RETRIES;
  if (attempts > MAX_RETRIES) problems.add(at(path, 'num_retries'), `must be at most ${MAX_RETRIES}`);
  return {
    attempts,
    ...decodeConditions(policy.retryOn, at(path, 'retry_on'), problems),
    statuses: decodeStatuses(policy.retriableStatusCodes, at(path, 'retriable_status_codes'), problems),
    perTryTimeoutMs: durationMs(policy.perTryTimeout, at(path, 'per_try_timeout'), problems, 0),
    methods: options?.methods ?? [],
    idempotencyKeyHeader: decodeKeyHeader(options?.idempotencyKeyHeader ?? '', path, problems),
    safeResets: options?.safeResets ?? false,
    ...decodeBackOff(policy, at(path, 'retry_back_off'), problems),
    ...decodeMinBackOff(options, path, problems),
    ...decodeHedge(options, path, problems),
  };
}

/** `host_selection_retry_max_attempts` needs no look: endpoints that failed are avoided whatever it says. */
function refuseUnsupported(policy: RetryPolicy, path: string, problems: Problems): void {
  if (policy.perTryIdleTimeout !== undefined)
    refuse(problems, at(path, 'per_try_idle_timeout'), 'an idle timeout per try');
  if (policy.retriableRequestHeaders.length > 0) {
    refuse(problems, at(path, 'retriable_request_headers'), 'retrying by request headers');
  }
}

function decodeConditions(list: string, path: string, problems: Problems): Pick<RetryConfig, 'on' | 'grpc'> {
  const on: RetryOn[] = [];
  const grpc: GrpcRetryOn[] = [];
  for (const word of list.split(',').map((w) => w.trim())) {
    const known = CONDITIONS.find((c) => c === word);
    const knownGrpc = GRPC_CONDITIONS.find((c) => c === word);
    if (known !== undefined) on.push(known);
    else if (knownGrpc !== undefined) grpc.push(knownGrpc);
    else if (word !== '')
      refuse(problems, path, `retry condition ${word}`, [...CONDITIONS, ...GRPC_CONDITIONS].join(', '));
  }
  return { on, ...(grpc.length > 0 && { grpc }) };
}

function decodeStatuses(statuses: readonly number[], path: string, problems: Problems): readonly number[] {
  if (statuses.some((s) => s < 100 || s > 599)) problems.add(path, 'must be HTTP statuses', 'from 100 to 599');
  return statuses;
}

function decodeKeyHeader(name: string, path: string, problems: Problems): string {
  if (name !== '' && !TOKEN.test(name))
    problems.add(path, 'idempotency_key_header of tulle.retry must be a header name');
  return name.toLowerCase();
}

function decodeMinBackOff(
  options: RetryOptions | null,
  path: string,
  problems: Problems,
): Pick<RetryConfig, 'backoffMinMs'> {
  if (options?.minBackoff === undefined) return {};
  return { backoffMinMs: durationMs(options.minBackoff, at(path, 'min_backoff of tulle.retry'), problems, 0) };
}

function decodeHedge(options: RetryOptions | null, path: string, problems: Problems): Pick<RetryConfig, 'hedge'> {
  if (options?.hedgeAfter === undefined) return {};
  const afterMs = durationMs(options.hedgeAfter, at(path, 'hedge_after of tulle.retry'), problems, 0, 1);
  if (options.maxHedges < 1 || options.maxHedges > MAX_HEDGES)
    problems.add(at(path, 'max_hedges of tulle.retry'), `must be from 1 to ${MAX_HEDGES}`);
  return { hedge: { afterMs, max: options.maxHedges } };
}

/** The maximum is ten times the base when unset (Envoy `RetryBackOff.max_interval`). */
function decodeBackOff(
  policy: RetryPolicy,
  path: string,
  problems: Problems,
): { readonly backoffBaseMs: number; readonly backoffMaxMs: number } {
  const backOff = policy.retryBackOff;
  const baseMs = durationMs(backOff?.baseInterval, at(path, 'base_interval'), problems, DEFAULT_BASE_MS, 1);
  if (backOff !== undefined && backOff.baseInterval === undefined)
    problems.add(at(path, 'base_interval'), 'must be set');
  const maxMs = durationMs(backOff?.maxInterval, at(path, 'max_interval'), problems, baseMs * 10, 1);
  if (maxMs < baseMs) problems.add(at(path, 'max_interval'), 'must not be below base_interval');
  return { backoffBaseMs: baseMs, backoffMaxMs: maxMs };
}
