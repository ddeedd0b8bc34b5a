/**
 * Active health checks of a TrafficPolicy: what endpoints are asked, and how often. Knows nothing of how it is done, and no default but what
 * the definition says.
 */
import { duration, integer, MAX_INT32, string, type ValueOf } from './field.ts';
import { list, object, optional, required, type Rule } from './structure.ts';

const HTTP = object({
  path: required(
    string({ minLength: 1, maxLength: 1024, pattern: /^\/[!-~]*$/, advice: "begin with '/'" }),
    'Path to ask for.',
  ),
  host: optional(
    string({ maxLength: 261, pattern: /^[a-zA-Z0-9._[\]:-]*$/, advice: 'write host or host:port' }),
    '',
    'Host to ask for. Default: that of the Service.',
  ),
  statuses: optional(
    list(integer(100, 599), { minItems: 1, maxItems: 64, unique: { keys: [], of: String } }),
    null,
    'Statuses of a good answer. Default: 200.',
  ),
});

const GRPC = object({
  service: optional(
    string({ maxLength: 256, pattern: /^[!-~]*$/, advice: 'write a name such as shop.Reviews' }),
    '',
    'Service to ask for. Default: the whole server.',
  ),
});

const MEMBERS = {
  http: optional(HTTP, null, 'A GET that must be answered with one of these statuses.'),
  grpc: optional(GRPC, null, 'A call of grpc.health.v1 that must be answered SERVING.'),
  tcp: optional(object({}), null, 'A connection, with its TLS, and nothing more.'),
  interval: optional(duration('100ms', '1h'), null, 'Between checks of an endpoint. Default 10s.'),
  timeout: optional(duration('1ms', '1h'), null, 'For one check. Default 1s.'),
  healthyThreshold: optional(
    integer(1, MAX_INT32),
    null,
    'Good answers in a row that bring an endpoint back. Default 1.',
  ),
  unhealthyThreshold: optional(integer(1, MAX_INT32), null, 'Failures in a row that put an endpoint out. Default 3.'),
};
type Raw = ValueOf<ReturnType<typeof object<typeof MEMBERS>>>;

const RULES: readonly Rule<Raw>[] = [
  {
    rule: '[has(self.http), has(self.grpc), has(self.tcp)].exists_one(given, given)',
    message: 'must have exactly one of http, grpc, tcp',
    holds: ({ http, grpc, tcp }) => [http, grpc, tcp].filter((check) => check !== null).length === 1,
  },
  {
    rule: '!has(self.timeout) || !has(self.interval) || duration(self.timeout) <= duration(self.interval)',
    message: 'timeout must not be longer than interval',
    at: 'timeout',
    holds: ({ timeout, interval }) => timeout === null || interval === null || timeout <= interval,
  },
];

export const HEALTH_CHECK = object(MEMBERS, RULES);

export interface HealthCheckSpec {
  readonly check:
    | {
        readonly kind: 'http';
        readonly path: string;
        readonly host: string;
        readonly statuses: readonly number[] | null;
      }
    | { readonly kind: 'grpc'; readonly service: string }
    | { readonly kind: 'tcp' };
  readonly intervalMs: number | null;
  readonly timeoutMs: number | null;
  readonly healthyThreshold: number | null;
  readonly unhealthyThreshold: number | null;
}

export function healthCheckOf({ http, grpc, interval, timeout, ...thresholds }: Raw): HealthCheckSpec {
  const { healthyThreshold, unhealthyThreshold } = thresholds;
  return { check: checkOf(http, grpc), intervalMs: interval, timeoutMs: timeout, healthyThreshold, unhealthyThreshold };
}

function checkOf(http: Raw['http'], grpc: Raw['grpc']): HealthCheckSpec['check'] {
  if (http !== null) return { kind: 'http', ...http };
  return grpc === null ? { kind: 'tcp' } : { kind: 'grpc', ...grpc };
}
