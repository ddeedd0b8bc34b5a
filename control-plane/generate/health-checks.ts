/** Active health checks of a cluster, as Envoy's fields. Knows no endpoint. */
import type { HealthCheck } from '#api/generated/envoy/config/core/v3/core.ts';
import { CodecClientType } from '#api/generated/envoy/type/v3/type.ts';
import type { AppProtocol } from '../model/protocol.ts';
import type { BackendPolicy, HealthCheckPolicy } from '../model/policy.ts';
import { duration } from './messages.ts';

/** For Envoy; our sidecar spreads its checks by itself. */
const JITTER_PERCENT = 10;
/** Every status counts up to the threshold; without it Envoy puts an endpoint out at the first answer that is not as wanted. */
const ANY_STATUS = [{ start: 100n, end: 600n }];

/** @param host that is asked for where the policy names none */
export function healthChecks({ healthCheck }: BackendPolicy, host: string, protocol: AppProtocol): HealthCheck[] {
  if (healthCheck === null) return [];
  const { intervalMs, timeoutMs, healthyThreshold, unhealthyThreshold } = healthCheck;
  return [
    {
      interval: duration(intervalMs),
      timeout: duration(timeoutMs),
      healthyThreshold,
      unhealthyThreshold,
      intervalJitterPercent: JITTER_PERCENT,
      initialJitter: duration(Math.min(intervalMs / 10, 1000)),
      healthChecker: checker(healthCheck.check, host, protocol),
    },
  ];
}

function checker(check: HealthCheckPolicy['check'], host: string, protocol: AppProtocol): HealthCheck['healthChecker'] {
  switch (check.kind) {
    case 'http': {
      const isHttp2 = protocol === 'http2' || protocol === 'grpc';
      const value = {
        host: check.host || host,
        path: check.path,
        expectedStatuses: check.statuses.map((status) => ({ start: BigInt(status), end: BigInt(status + 1) })),
        codecClientType: isHttp2 ? CodecClientType.HTTP2 : CodecClientType.HTTP1,
        retriableStatuses: ANY_STATUS,
      };
      return { $case: 'httpHealthCheck', value };
    }
    case 'grpc':
      return { $case: 'grpcHealthCheck', value: { serviceName: check.service, authority: host } };
    case 'tcp':
      return { $case: 'tcpHealthCheck', value: {} };
  }
}
