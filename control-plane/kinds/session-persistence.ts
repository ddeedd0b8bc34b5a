/** `sessionPersistence` of a rule (GEP-1619), with the bounds and rules of Gateway API. Knows nothing of the rule that it stands in. */
import { choice, duration, string, type ValueOf } from './field.ts';
import { defaulted, object, optional, type Check } from './structure.ts';

const LIFETIMES = ['Session', 'Permanent'] as const;

/** Gateway API bounds the length only; it has to be a name in a `Cookie`, or of a header. */
const sessionName = string({
  minLength: 1,
  maxLength: 128,
  pattern: /^[a-zA-Z0-9!#$%&'*+.^_`|~-]+$/,
  advice: 'use letters, digits and -',
});

const MEMBERS = {
  sessionName: optional(sessionName, ''),
  type: defaulted(choice(['Cookie', 'Header']), 'Cookie'),
  absoluteTimeout: optional(duration(), null),
  idleTimeout: optional(duration(), null),
  cookieConfig: optional(object({ lifetimeType: defaulted(choice(LIFETIMES), 'Session') }), null),
};
type Raw = ValueOf<ReturnType<typeof object<typeof MEMBERS>>>;

const CHECKS: readonly Check<Raw>[] = [
  {
    message: 'absoluteTimeout must be given when the lifetimeType of the cookie is Permanent',
    at: 'absoluteTimeout',
    holds: ({ cookieConfig, absoluteTimeout }) =>
      cookieConfig?.lifetimeType !== 'Permanent' || (absoluteTimeout !== null && absoluteTimeout > 0),
  },
  {
    message: 'cookieConfig can only be set with type Cookie',
    at: 'cookieConfig',
    holds: ({ type, cookieConfig }) => type === 'Cookie' || cookieConfig === null,
  },
];

export const SESSION_PERSISTENCE = object(MEMBERS, CHECKS);
export type SessionPersistence = ValueOf<typeof SESSION_PERSISTENCE>;
