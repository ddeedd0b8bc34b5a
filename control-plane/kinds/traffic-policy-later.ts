/**
 * The fields of a TrafficPolicy that are accepted or refused like the others, but are not yet in force in this version:
 * the policy's status says so. A feature that comes into force moves out of here.
 */
import { duration, string, type ValueOf } from './field.ts';
import { object, optional, required, type Rule } from './structure.ts';

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
