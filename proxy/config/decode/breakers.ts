/**
 * Limits and outlier detection of a cluster. Constraints and defaults are those of Envoy's cluster.proto and outlier_detection.proto.
 * Knows no endpoint.
 */
import type { CircuitBreakers, OutlierDetection } from '#api/generated/envoy/config/cluster/v3/cluster.ts';
import type { Problems } from '#base/problems.ts';
import type { OutlierConfig } from '../endpoint-health.ts';
import type { ClusterConfig } from '../snapshot.ts';
import { durationMs } from './duration.ts';
import { at, refuse } from './unsupported.ts';

/** Envoy `CircuitBreakers.Thresholds`. */
const DEFAULT_LIMIT = 1024;
/** Envoy `OutlierDetection`. */
const DEFAULTS = { consecutive: 5, intervalMs: 10_000, baseMs: 30_000, maxMs: 300_000, failurePercent: 85, volume: 50 };

/** @param hasBudget our own retry budget is there; Envoy's counterparts are then meant for others. */
export function decodeLimits(
  breakers: CircuitBreakers | undefined,
  hasBudget: boolean,
  problems: Problems,
): ClusterConfig['limits'] {
  const [first, ...more] = breakers?.thresholds ?? [];
  const path = 'circuit_breakers.thresholds';
  if (more.length > 0) refuse(problems, path, 'more than one set of thresholds', 'one');
  if (!hasBudget && (first?.maxRetries !== undefined || first?.retryBudget !== undefined)) {
    refuse(problems, `${path}[0]`, 'max_retries or retry_budget alone', 'cluster metadata tulle.retry_budget');
  }
  return {
    connections: first?.maxConnections ?? DEFAULT_LIMIT,
    pendingRequests: first?.maxPendingRequests ?? DEFAULT_LIMIT,
    requests: first?.maxRequests ?? DEFAULT_LIMIT,
  };
}

/** @param keep from our own metadata; null: there is none, and the share that Envoy has for it must not be given */
export function decodeOutlier(
  message: OutlierDetection | undefined,
  keep: number | null,
  problems: Problems,
): OutlierConfig | null {
  if (message === undefined) return null;
  const path = 'outlier_detection';
  if (keep === null && message.maxEjectionPercent !== undefined) {
    refuse(problems, at(path, 'max_ejection_percent'), 'a share of the endpoints', 'cluster metadata tulle.outlier');
  }
  const enforced = (name: string, percent: number | undefined, fallback: number): boolean => {
    const value = percent ?? fallback;
    if (value !== 0 && value !== 100) refuse(problems, at(path, name), 'a chance of ejection', '0 or 100');
    return value > 0;
  };
  if (enforced('enforcing_success_rate', message.enforcingSuccessRate, 100)) {
    refuse(
      problems,
      at(path, 'enforcing_success_rate'),
      'ejection by deviation',
      '0, and failure_percentage_threshold',
    );
  }
  const byErrors = enforced('enforcing_consecutive_5xx', message.enforcingConsecutive5xx, 100);
  const gateway = message.enforcingConsecutiveGatewayFailure;
  const byGateway = enforced('enforcing_consecutive_gateway_failure', gateway, 0);
  const byShare = enforced('enforcing_failure_percentage', message.enforcingFailurePercentage, 0);
  const time = (name: string, value: OutlierDetection['interval'], fallback: number): number =>
    durationMs(value, at(path, name), problems, fallback, 1);
  return {
    consecutiveErrors: byErrors ? (message.consecutive5xx ?? DEFAULTS.consecutive) : 0,
    consecutiveGatewayErrors: byGateway ? (message.consecutiveGatewayFailure ?? DEFAULTS.consecutive) : 0,
    successRate: byShare
      ? {
          below: 100 - (message.failurePercentageThreshold ?? DEFAULTS.failurePercent),
          minRequests: message.failurePercentageRequestVolume ?? DEFAULTS.volume,
        }
      : null,
    intervalMs: time('interval', message.interval, DEFAULTS.intervalMs),
    ejectionBaseMs: time('base_ejection_time', message.baseEjectionTime, DEFAULTS.baseMs),
    ejectionMaxMs: time('max_ejection_time', message.maxEjectionTime, DEFAULTS.maxMs),
    keepEndpoints: keep ?? 1,
  };
}
