/** `HealthCheck` of a cluster: what its endpoints are asked. Constraints are those of Envoy's health_check.proto. */
import type { HealthCheck } from '#api/generated/envoy/config/core/v3/core.ts';
import type { Problems } from '#base/problems.ts';
import type { CheckConfig, HealthCheckConfig } from '../endpoint-health.ts';
import { durationMs } from './duration.ts';
import { at, refuse } from './unsupported.ts';

/** What Envoy takes without `expected_statuses`. */
const ONLY_200 = [{ start: 200, end: 201 }];
const LAST_STATUS = 600;

/** Null: endpoints are not checked. @param clusterName Envoy's host where none is given */
export function decodeHealthCheck(
  checks: readonly HealthCheck[],
  clusterName: string,
  problems: Problems,
): HealthCheckConfig | null {
  const [first, ...more] = checks;
  if (first === undefined) return null;
  if (more.length > 0) refuse(problems, 'health_checks', 'more than one check', 'one');
  const path = 'health_checks[0]';
  const must = (name: string, value: unknown): void => {
    if (value === undefined) problems.add(at(path, name), 'must be set');
  };
  const threshold = (name: string, value: number | undefined): number => {
    must(name, value);
    if (value === 0) problems.add(at(path, name), 'must be at least 1');
    return value ?? 1;
  };
  must('timeout', first.timeout);
  must('interval', first.interval);
  return {
    check: decodeCheck(first.healthChecker, clusterName, path, problems),
    intervalMs: durationMs(first.interval, at(path, 'interval'), problems, 1, 1),
    timeoutMs: durationMs(first.timeout, at(path, 'timeout'), problems, 1, 1),
    unhealthyThreshold: threshold('unhealthy_threshold', first.unhealthyThreshold),
    healthyThreshold: threshold('healthy_threshold', first.healthyThreshold),
  };
}

function decodeCheck(
  checker: HealthCheck['healthChecker'],
  clusterName: string,
  path: string,
  problems: Problems,
): CheckConfig {
  switch (checker?.$case) {
    case 'httpHealthCheck': {
      const { host, path: asked, expectedStatuses } = checker.value;
      const where = at(path, 'http_health_check');
      if (!asked.startsWith('/')) problems.add(at(where, 'path'), "must begin with '/'");
      const statuses = expectedStatuses.map(({ start, end }) => ({ start: Number(start), end: Number(end) }));
      for (const [i, { start, end }] of statuses.entries()) {
        if (start >= 100 && end <= LAST_STATUS && start < end) continue;
        problems.add(at(where, `expected_statuses[${i}]`), 'must lie from 100 to 600, its end behind its start');
      }
      return {
        kind: 'http',
        host: host || clusterName,
        path: asked,
        statuses: statuses.length > 0 ? statuses : ONLY_200,
      };
    }
    case 'grpcHealthCheck': {
      const { authority, serviceName } = checker.value;
      return { kind: 'grpc', authority: authority || clusterName, service: serviceName };
    }
    case 'tcpHealthCheck':
      return { kind: 'tcp' };
    case undefined:
      problems.add(path, 'must have one of http_health_check, grpc_health_check and tcp_health_check');
      return { kind: 'tcp' };
  }
}
