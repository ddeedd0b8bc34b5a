/**
 * The matches of HTTPRoute rules, with the bounds, defaults and rules of Gateway API v1 (standard channel).
 * Knows nothing of rules as a whole, nor of what a route means.
 */
import { linearRegex } from '#base/regex.ts';
import { choice, type Field, string, type ValueOf } from './field.ts';
import { firstOfEachName } from './route-filters.ts';
import { defaulted, list, object, optional, required, type Check } from './structure.ts';
import { headerName } from './text-forms.ts';

/** Gateway API: maxItems of matches by header and by query parameter. */
const MAX_ITEMS = 16;

const MATCH_TYPES = ['Exact', 'RegularExpression'] as const;
const PATH_TYPES = ['Exact', 'PathPrefix', 'RegularExpression'] as const;
const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'CONNECT', 'OPTIONS', 'TRACE', 'PATCH'] as const;

const PATH_MEMBERS = {
  type: defaulted(choice(PATH_TYPES), 'PathPrefix'),
  value: defaulted(string({ maxLength: 1024 }), '/'),
};

const PATH_CHARACTERS = /^(?:[-A-Za-z0-9/._~!$&'()*+,;=:@]|[%][0-9a-fA-F]{2})+$/;
const NOT_IN_PATHS = ['//', '/./', '/../', '%2f', '%2F', '#'];

type PathMatch = ValueOf<ReturnType<typeof object<typeof PATH_MEMBERS>>>;

/** Rules of HTTPPathMatch. */
const PATH_RULES: readonly Check<PathMatch>[] = [
  {
    message: "must be an absolute path and start with '/'",
    at: 'value',
    holds: ({ type, value }) => type === 'RegularExpression' || value.startsWith('/'),
  },
  ...NOT_IN_PATHS.map((text) => ({
    message: `must not contain '${text}'`,
    at: 'value',
    holds: ({ type, value }: PathMatch) => type === 'RegularExpression' || !value.includes(text),
  })),
  {
    message: "must not end with '/..' or '/.'",
    at: 'value',
    holds: ({ type, value }) => type === 'RegularExpression' || !(value.endsWith('/..') || value.endsWith('/.')),
  },
  {
    message: 'must only contain the characters that a path may have, others percent-encoded',
    at: 'value',
    holds: ({ type, value }) => type === 'RegularExpression' || PATH_CHARACTERS.test(value),
  },
];

interface Matcher {
  readonly type: string;
  readonly value: string;
}

/** Adds the check of a regular expression, which no schema can say, to a match that may hold one. */
function withRegex<T extends Matcher>(field: Field<T>): Field<T> {
  return {
    schema: field.schema,
    read(value, path, problems) {
      const match = field.read(value, path, problems);
      if (match?.type !== 'RegularExpression') return match;
      const regex = linearRegex(match.value);
      if (regex.ok) return match;
      problems.add(`${path}.value`, regex.error, 'use RE2 syntax: no look-around, no back references');
      return undefined;
    },
  };
}

function namedValue(maxValueLength: number) {
  return withRegex(
    object({
      type: defaulted(choice(MATCH_TYPES), 'Exact'),
      name: required(headerName),
      value: required(string({ minLength: 1, maxLength: maxValueLength })),
    }),
  );
}

const byName = { keys: ['name'], of: (item: { readonly name: string }) => item.name };

/** Path of a match that names none. */
const ANY_PATH: PathMatch = { type: 'PathPrefix', value: '/' };

/** Matches by header, the same for HTTPRoute and GRPCRoute. */
export const HEADER_MATCHES = firstOfEachName(list(namedValue(4096), { maxItems: MAX_ITEMS, unique: byName }));

export const MATCH = object({
  path: defaulted(withRegex(object(PATH_MEMBERS, PATH_RULES)), ANY_PATH),
  headers: optional(HEADER_MATCHES, []),
  queryParams: optional(list(namedValue(1024), { maxItems: MAX_ITEMS, unique: byName }), []),
  method: optional(choice(METHODS), ''),
});

/** The match of a rule that names none. */
export const EVERYTHING: ValueOf<typeof MATCH> = { path: ANY_PATH, headers: [], queryParams: [], method: '' };
