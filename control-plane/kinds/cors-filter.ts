/** The CORS filter of HTTPRoute (GEP-1767), with the bounds and rules of Gateway API v1. Knows nothing of the rule that it stands in. */
import { boolean, choice, integer, MAX_INT32, string, type ValueOf } from './field.ts';
import { list, object, optional, type Check } from './structure.ts';
import { headerName } from './text-forms.ts';

const MAX_ITEMS = 64;
const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'CONNECT', 'OPTIONS', 'TRACE', 'PATCH', '*'] as const;

const unique = { keys: [], of: (text: string) => text };

const origin = string({
  minLength: 1,
  maxLength: 253,
  pattern: /^(\*|https?:\/\/((\*\.)?([a-zA-Z0-9-]+\.)*[a-zA-Z0-9-]+|\*)(:[0-9]{1,5})?)$/,
  advice: 'write an origin such as https://shop.example, https://*.shop.example or *',
});

const MEMBERS = {
  allowOrigins: optional(list(origin, { maxItems: MAX_ITEMS, unique }), []),
  allowCredentials: optional(boolean(), false),
  allowMethods: optional(list(choice(METHODS), { maxItems: METHODS.length - 1, unique }), []),
  allowHeaders: optional(list(headerName, { maxItems: MAX_ITEMS, unique }), []),
  exposeHeaders: optional(list(headerName, { maxItems: MAX_ITEMS, unique }), []),
  maxAge: optional(integer(1, MAX_INT32), 5),
};
type Raw = ValueOf<ReturnType<typeof object<typeof MEMBERS>>>;

const CHECKS: readonly Check<Raw>[] = (['allowOrigins', 'allowMethods'] as const).map((at) => ({
  message: `${at} cannot contain '*' beside others`,
  at,
  holds: (cors: Raw) => cors[at].length < 2 || !(cors[at] as readonly string[]).includes('*'),
}));

export const CORS = object(MEMBERS, CHECKS);
export type CorsSpec = ValueOf<typeof CORS>;
