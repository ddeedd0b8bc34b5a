/**
 * The fields of a TrafficPolicy that are accepted or refused like the others, but are not yet in force in this version:
 * the policy's status says so. A feature that comes into force moves out of here.
 */
import { choice, duration, integer, string, type ValueOf } from './field.ts';
import { defaulted, list, object, optional, required, type Rule } from './structure.ts';
import { count, exactlyOne, percent, yes } from './traffic-policy-parts.ts';
import { dnsLabel, dnsLabel1035, headerName, headerValue, portNumber } from './text-forms.ts';

const LIMITS = object({
  connections: optional(count(1), null, 'Connections to a backend.'),
  pendingRequests: optional(count(0), null, 'Requests that wait for a connection.'),
  requests: optional(count(1), null, 'Requests in flight.'),
  requestsPerConnection: optional(count(0), null, 'Requests on a connection before it is closed. 0: no limit.'),
});

const SUCCESS_RATE = object({
  below: required(integer(1, 100), 'Percent of successes under which an endpoint is ejected.'),
  minRequests: defaulted(count(1), 20, 'Requests in an interval without which an endpoint is not judged.'),
});

const EJECTION_MEMBERS = {
  base: optional(duration('1ms', '24h'), null, 'Length of the first ejection; each further one is longer by as much.'),
  max: optional(duration('1ms', '24h'), null, 'Longest ejection.'),
};

const EJECTION_RULES: readonly Rule<ValueOf<ReturnType<typeof object<typeof EJECTION_MEMBERS>>>>[] = [
  {
    rule: '!has(self.base) || !has(self.max) || duration(self.base) <= duration(self.max)',
    message: 'base must not be longer than max',
    at: 'base',
    holds: ({ base, max }) => base === null || max === null || base <= max,
  },
];

const OUTLIER = object({
  consecutiveErrors: optional(count(0), null, 'Failures in a row that eject an endpoint. 0: not judged by these.'),
  consecutiveGatewayErrors: optional(count(0), null, 'The same for 502, 503, 504 and failed connections.'),
  successRate: optional(SUCCESS_RATE, null, 'Ejection by share of successes.'),
  interval: optional(duration('100ms', '1h'), null, 'How often endpoints are judged.'),
  ejection: optional(object(EJECTION_MEMBERS, EJECTION_RULES), null, 'For how long.'),
  keepEndpoints: optional(count(0), null, 'Endpoints that are never ejected, however bad all are.'),
});

const HEADERS = list(
  object({ name: required(headerName, 'Name of the header.'), value: required(headerValue, 'Its value.') }),
  {
    maxItems: 16,
    unique: { keys: ['name'], of: ({ name }) => name },
  },
);

const FALLBACK = exactlyOne({
  backendRef: optional(
    object({
      name: required(dnsLabel1035, 'Name of a Service.'),
      namespace: optional(dnsLabel, '', "Its namespace; else the policy's."),
      port: required(portNumber, 'Port of the Service.'),
    }),
    null,
    'Another backend that answers instead.',
  ),
  response: optional(
    object({
      status: required(integer(200, 599), 'Status of the answer.'),
      headers: optional(HEADERS, [], 'Headers of the answer.'),
      body: optional(string({ maxLength: 4096 }), '', 'Body of the answer.'),
    }),
    null,
    'A fixed answer.',
  ),
});

const CIRCUIT_BREAKER = object({
  limits: optional(LIMITS, null, 'What is in flight to a backend at most; more is answered 503 at once.'),
  outlier: optional(OUTLIER, null, 'Endpoints that fail are left out for a while.'),
  fallback: optional(FALLBACK, null, 'What answers when the breaker is open or retries are exhausted.'),
});

/** What a request is told apart by. */
export const HASH_ON = list(
  exactlyOne({
    header: optional(headerName, null, 'Value of a request header.'),
    cookie: optional(headerName, null, 'Value of a cookie.'),
    queryParam: optional(string({ minLength: 1, maxLength: 256 }), null, 'Value of a query parameter.'),
    sourceAddress: optional(yes, null, 'Address of the client.'),
  }),
  { minItems: 1, maxItems: 8 },
);

export const LOCALITY = object({
  prefer: required(choice(['None', 'Zone']), 'Zone: endpoints in the zone of the client first.'),
});

const HEALTH_CHECK_MEMBERS = {
  http: required(
    object({
      path: required(
        string({ minLength: 1, maxLength: 1024, pattern: /^\//, advice: "begin with '/'" }),
        'Path to ask for.',
      ),
    }),
    'A GET that must be answered 200.',
  ),
  interval: optional(duration('100ms', '1h'), null, 'Between checks of an endpoint.'),
  timeout: optional(duration('1ms', '1h'), null, 'For one check.'),
};

const HEALTH_CHECK_RULES: readonly Rule<ValueOf<ReturnType<typeof object<typeof HEALTH_CHECK_MEMBERS>>>>[] = [
  {
    rule: '!has(self.timeout) || !has(self.interval) || duration(self.timeout) <= duration(self.interval)',
    message: 'timeout must not be longer than interval',
    at: 'timeout',
    holds: ({ timeout, interval }) => timeout === null || interval === null || timeout <= interval,
  },
];

const TRACING = object({ sampling: required(percent, 'Percent of requests that are traced.') });

/** Members of the spec as they are; null: not given. */
export const LATER_MEMBERS = {
  circuitBreaker: optional(CIRCUIT_BREAKER, null, 'Limits, ejection of bad endpoints, fallback.'),
  healthCheck: optional(object(HEALTH_CHECK_MEMBERS, HEALTH_CHECK_RULES), null, 'Active checks of endpoints.'),
  tracing: optional(TRACING, null, 'Tracing of requests.'),
};
