/**
 * The fields of TrafficPolicy's circuit breaker: limits, ejection of endpoints that fail, and what answers instead.
 * Knows nothing of precedence and of defaults; those stand in the model.
 */
import { PROXY_FIELDS } from '#api/proxy-fields.ts';
import { checked, duration, integer, MAX_INT32, string, type Field, type ValueOf } from './field.ts';
import { defaulted, list, object, optional, required, type Rule } from './structure.ts';
import { dnsLabel, dnsLabel1035, headerName, headerValue, portNumber } from './text-forms.ts';
import { exactlyOne } from './traffic-policy-parts.ts';

const count = (min: number): Field<number> => integer(min, MAX_INT32);

export const LIMITS = object({
  connections: optional(count(1), null, 'Connections to a backend; each of its endpoints may have one all the same.'),
  pendingRequests: optional(count(0), null, 'Requests that wait for a connection.'),
  requests: optional(count(1), null, 'Requests in flight; more are answered 503 at once.'),
  requestsPerConnection: optional(count(0), null, 'Requests on a connection before it is closed. 0: no limit.'),
});

const SUCCESS_RATE = object({
  below: required(integer(1, 100), 'Percent of successes under which an endpoint is ejected.'),
  minRequests: defaulted(count(1), 20, 'Requests in an interval without which an endpoint is not judged.'),
});

const EJECTION_MEMBERS = {
  base: optional(
    duration('1ms', '24h'),
    null,
    'Length of the first ejection; each further one is longer by as much. Default 30s.',
  ),
  max: optional(duration('1ms', '24h'), null, 'Longest ejection. Default 5m.'),
};

const EJECTION_RULES: readonly Rule<ValueOf<ReturnType<typeof object<typeof EJECTION_MEMBERS>>>>[] = [
  {
    rule: '!has(self.base) || !has(self.max) || duration(self.base) <= duration(self.max)',
    message: 'base must not be longer than max',
    at: 'base',
    holds: ({ base, max }) => base === null || max === null || base <= max,
  },
];

export const OUTLIER = object({
  consecutiveErrors: optional(
    count(0),
    null,
    'Answers 5xx and failed tries in a row that eject an endpoint. 0: not judged by these. Default 5.',
  ),
  consecutiveGatewayErrors: optional(
    count(0),
    null,
    'The same for 502, 503, 504 and tries without an answer. Default 0.',
  ),
  successRate: optional(SUCCESS_RATE, null, 'Ejection by share of successes.'),
  interval: optional(
    duration('100ms', '1h'),
    null,
    'How often success rates are judged, and good behaviour is rewarded. Default 10s.',
  ),
  ejection: optional(object(EJECTION_MEMBERS, EJECTION_RULES), null, 'For how long.'),
  keepEndpoints: optional(
    count(0),
    null,
    'As many endpoints stay, however bad all are; of several, one may always be ejected. Default 1.',
  ),
});

/** Of an answer of our own. */
const answerHeaderName = checked(
  headerName,
  (name) => (PROXY_FIELDS.has(name.toLowerCase()) ? 'is written by the proxy itself' : ''),
  'leave it out',
);

const HEADERS = list(
  object({ name: required(answerHeaderName, 'Name of the header.'), value: required(headerValue, 'Its value.') }),
  {
    maxItems: 16,
    unique: { keys: ['name'], of: ({ name }) => name },
  },
);

const RESPONSE_MEMBERS = {
  status: required(integer(200, 599), 'Status of the answer.'),
  headers: optional(HEADERS, [], 'Headers of the answer.'),
  body: optional(string({ maxLength: 4096 }), '', 'Body of the answer.'),
};

const RESPONSE_RULES: readonly Rule<ValueOf<ReturnType<typeof object<typeof RESPONSE_MEMBERS>>>>[] = [
  {
    rule: "!has(self.body) || self.body == '' || (self.status != 204 && self.status != 304)",
    message: 'an answer 204 or 304 has no body',
    at: 'body',
    holds: ({ status, body }) => body === '' || (status !== 204 && status !== 304),
  },
];

export const FALLBACK = exactlyOne({
  backendRef: optional(
    object({
      name: required(dnsLabel1035, 'Name of a Service.'),
      namespace: optional(dnsLabel, '', "Its namespace; else the policy's."),
      port: required(portNumber, 'Port of the Service.'),
    }),
    null,
    'Another backend that answers instead.',
  ),
  response: optional(object(RESPONSE_MEMBERS, RESPONSE_RULES), null, 'A fixed answer.'),
});
