/**
 * The fields of TrafficPolicy's circuit breaker that are in force: limits, and ejection of endpoints that fail.
 * Knows nothing of precedence and of defaults; those stand in the model.
 */
import { duration, integer, MAX_INT32, type Field, type ValueOf } from './field.ts';
import { defaulted, object, optional, required, type Rule } from './structure.ts';

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
