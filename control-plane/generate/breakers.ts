/** Limits and outlier detection of a cluster: Envoy's fields, and in our own metadata what Envoy has no field for. */
import { CircuitBreakers, OutlierDetection } from '#api/generated/envoy/config/cluster/v3/cluster.ts';
import { OutlierOptions } from '#api/generated/tulle/config/v1/config.ts';
import type { Any } from '#api/generated/google/protobuf/any.ts';
import { EXTENSION, METADATA } from '#api/names.ts';
import type { BackendPolicy, OutlierPolicy } from '../model/policy.ts';
import { duration, pack } from './messages.ts';

/** Of the endpoints; Envoy has no number that stays. Our sidecar goes by the metadata. */
const MAX_EJECTION_PERCENT = 50;

export function circuitBreakers({ limits, retryBudget }: BackendPolicy): CircuitBreakers {
  const { connections, pendingRequests, requests } = limits;
  return CircuitBreakers.fromPartial({
    thresholds: [
      {
        maxConnections: connections,
        maxPendingRequests: pendingRequests,
        maxRequests: requests,
        // Envoy counts retries under way, not by time: the nearest to our budget, which is in the metadata.
        retryBudget: {
          budgetPercent: { value: retryBudget.percent },
          minRetryConcurrency: Math.ceil(retryBudget.minPerSecond),
        },
      },
    ],
  });
}

export function outlierDetection(policy: OutlierPolicy | null): OutlierDetection | undefined {
  if (policy === null) return undefined;
  const { consecutiveErrors, consecutiveGatewayErrors, successRate } = policy;
  return OutlierDetection.fromPartial({
    interval: duration(policy.intervalMs),
    baseEjectionTime: duration(policy.ejectionBaseMs),
    maxEjectionTime: duration(policy.ejectionMaxMs),
    maxEjectionPercent: MAX_EJECTION_PERCENT,
    consecutive5xx: Math.max(1, consecutiveErrors),
    enforcingConsecutive5xx: consecutiveErrors > 0 ? 100 : 0,
    consecutiveGatewayFailure: Math.max(1, consecutiveGatewayErrors),
    enforcingConsecutiveGatewayFailure: consecutiveGatewayErrors > 0 ? 100 : 0,
    // Envoy's own is a matter of deviations; ours is a share, which it calls failure percentage.
    enforcingSuccessRate: 0,
    ...(successRate !== null && {
      failurePercentageThreshold: 100 - successRate.below,
      enforcingFailurePercentage: 100,
      failurePercentageMinimumHosts: 1,
      failurePercentageRequestVolume: successRate.minRequests,
    }),
  });
}

export function outlierMetadata(policy: OutlierPolicy | null): Record<string, Any> {
  if (policy === null) return {};
  const { keepEndpoints } = policy;
  return { [METADATA.outlier]: pack(EXTENSION.outlierOptions, OutlierOptions, { keepEndpoints }) };
}
