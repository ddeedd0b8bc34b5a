/** `health_checks` of a cluster: what is taken, and what is refused with which words. */
import t from 'tap';
import { HealthCheck } from '#api/generated/envoy/config/core/v3/core.ts';
import { Problems } from '#base/problems.ts';
import { decodeHealthCheck } from '../../../proxy/config/decode/health-check.ts';

const SECOND = { seconds: 1n, nanos: 0 };
const TIMES = { interval: SECOND, timeout: SECOND, unhealthyThreshold: 3, healthyThreshold: 1 };
type Checker = HealthCheck['healthChecker'];

function decoded(...checks: readonly Partial<HealthCheck>[]): unknown {
  const problems = new Problems();
  const all = checks.map((check) => Object.assign(HealthCheck.fromPartial({}), check));
  const result = decodeHealthCheck(all, 'echo.shop:80', problems);
  if (problems.isEmpty) return result;
  return problems.list.map(({ path, reason, advice }) => `${path}: ${reason}${advice === '' ? '' : ` (${advice})`}`);
}

function check(healthChecker: Checker): unknown {
  const result = decoded({ ...TIMES, healthChecker });
  return Array.isArray(result) ? result : (result as { check: unknown }).check;
}

t.test('no check: nobody is asked', async (t) => {
  t.equal(decoded(), null);
});

t.test('each kind, with the defaults of Envoy', async (t) => {
  t.same(decoded({ ...TIMES, healthChecker: { $case: 'tcpHealthCheck', value: {} } }), {
    check: { kind: 'tcp' },
    intervalMs: 1000,
    timeoutMs: 1000,
    unhealthyThreshold: 3,
    healthyThreshold: 1,
  });
  t.same(check({ $case: 'grpcHealthCheck', value: { serviceName: 'a.B', authority: '' } }), {
    kind: 'grpc',
    authority: 'echo.shop:80',
    service: 'a.B',
  });
  const http = { host: '', path: '/healthz', expectedStatuses: [], codecClientType: 0, retriableStatuses: [] } as const;
  t.same(check({ $case: 'httpHealthCheck', value: { ...http, expectedStatuses: [], retriableStatuses: [] } }), {
    kind: 'http',
    host: 'echo.shop:80',
    path: '/healthz',
    statuses: [{ start: 200, end: 201 }],
  });
});

t.test('what is missing or cannot be obeyed is refused, all of it at once', async (t) => {
  const expectedStatuses = [
    { start: 99n, end: 200n },
    { start: 200n, end: 601n },
    { start: 300n, end: 300n },
    { start: 200n, end: 300n },
  ];
  const value = { host: '', path: 'x', expectedStatuses, codecClientType: 0, retriableStatuses: [] } as const;
  t.same(check({ $case: 'httpHealthCheck', value: { ...value, expectedStatuses, retriableStatuses: [] } }), [
    "health_checks[0].http_health_check.path: must begin with '/'",
    ...[0, 1, 2].map(
      (i) =>
        `health_checks[0].http_health_check.expected_statuses[${i}]: must lie from 100 to 600, its end behind its start`,
    ),
  ]);
  t.same(decoded({ unhealthyThreshold: 0 }, {}), [
    'health_checks: more than one check is not supported (supported: one)',
    'health_checks[0].timeout: must be set',
    'health_checks[0].interval: must be set',
    'health_checks[0]: must have one of http_health_check, grpc_health_check and tcp_health_check',
    'health_checks[0].unhealthy_threshold: must be at least 1',
    'health_checks[0].healthy_threshold: must be set',
  ]);
});
