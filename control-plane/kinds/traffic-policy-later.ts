/**
 * The fields of a TrafficPolicy that are accepted or refused like the others, but are not yet in force in this version:
 * the policy's status says so. A feature that comes into force moves out of here.
 */
import { duration, integer, string, type ValueOf } from './field.ts';
import { list, object, optional, required, type Rule } from './structure.ts';
import { exactlyOne } from './traffic-policy-parts.ts';
import { dnsLabel, dnsLabel1035, headerName, headerValue, portNumber } from './text-forms.ts';

const HEADERS = list(
  object({ name: required(headerName, 'Name of the header.'), value: required(headerValue, 'Its value.') }),
  {
    maxItems: 16,
    unique: { keys: ['name'], of: ({ name }) => name },
  },
);

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

/** Members of the spec as they are; null: not given. */
export const LATER_MEMBERS = {
  healthCheck: optional(object(HEALTH_CHECK_MEMBERS, HEALTH_CHECK_RULES), null, 'Active checks of endpoints.'),
};
