/**
 * The fields of HTTPRoute below a rule's matches and filters, with the bounds, defaults and rules of Gateway API v1 (standard channel).
 * Knows nothing of rules as a whole, nor of what a route means.
 */
import { linearRegex } from '#base/regex.ts';
import { ANYTHING, choice, type Field, string, type ValueOf } from './field.ts';
import { defaulted, list, object, optional, required, type Check } from './structure.ts';
import { headerName, headerValue } from './text-forms.ts';

/** Gateway API: maxItems of matches by header and by query parameter, of header modifiers, of filters. */
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

export const MATCH = object({
  path: defaulted(withRegex(object(PATH_MEMBERS, PATH_RULES)), ANY_PATH),
  headers: optional(firstOfEachName(list(namedValue(4096), { maxItems: MAX_ITEMS, unique: byName })), []),
  queryParams: optional(list(namedValue(1024), { maxItems: MAX_ITEMS, unique: byName }), []),
  method: optional(choice(METHODS), ''),
});

/** Of names that differ in case only the first counts (Gateway API: later ones must be ignored, not refused). */
function firstOfEachName<T extends { readonly name: string }>(field: Field<readonly T[]>): Field<readonly T[]> {
  return {
    schema: field.schema,
    read(value, path, problems) {
      const items = field.read(value, path, problems);
      const names = items?.map(({ name }) => name.toLowerCase()) ?? [];
      return items?.filter((_, i) => names.indexOf(names[i] ?? '') === i);
    },
  };
}

/** The match of a rule that names none. */
export const EVERYTHING: ValueOf<typeof MATCH> = { path: ANY_PATH, headers: [], queryParams: [], method: '' };

const HEADERS = firstOfEachName(
  list(object({ name: required(headerName), value: required(headerValue) }), { maxItems: MAX_ITEMS, unique: byName }),
);

const MODIFIER = object({
  set: optional(HEADERS, []),
  add: optional(HEADERS, []),
  remove: optional(list(headerName, { maxItems: MAX_ITEMS, unique: { keys: [], of: (name) => name } }), []),
});

/** The body that each type of filter needs. */
const FILTER_BODIES = {
  RequestHeaderModifier: 'requestHeaderModifier',
  ResponseHeaderModifier: 'responseHeaderModifier',
  RequestMirror: 'requestMirror',
  RequestRedirect: 'requestRedirect',
  URLRewrite: 'urlRewrite',
  ExtensionRef: 'extensionRef',
  CORS: 'cors',
} as const;
type FilterType = keyof typeof FILTER_BODIES;
const FILTER_TYPES = Object.keys(FILTER_BODIES) as readonly FilterType[];

const FILTER_MEMBERS = {
  type: required(choice(FILTER_TYPES)),
  requestHeaderModifier: optional(MODIFIER, null),
  responseHeaderModifier: optional(MODIFIER, null),
  requestMirror: optional(ANYTHING, null),
  requestRedirect: optional(ANYTHING, null),
  urlRewrite: optional(ANYTHING, null),
  extensionRef: optional(ANYTHING, null),
  cors: optional(ANYTHING, null),
};
type RawFilter = ValueOf<ReturnType<typeof object<typeof FILTER_MEMBERS>>>;

const FILTER_RULES: readonly Check<RawFilter>[] = FILTER_TYPES.flatMap((type) => {
  const body = FILTER_BODIES[type];
  return [
    {
      message: `${body} must be given for the filter type ${type}`,
      holds: (filter: RawFilter) => filter.type !== type || filter[body] !== null,
    },
    {
      message: `${body} must not be given unless the filter type is ${type}`,
      holds: (filter: RawFilter) => filter.type === type || filter[body] === null,
    },
  ];
});

const FILTER_LIST = list(object(FILTER_MEMBERS, FILTER_RULES), { maxItems: MAX_ITEMS });

/** Each type at most once in a list, except those that may stand for several things. */
const REPEATABLE: ReadonlySet<FilterType> = new Set<FilterType>(['RequestMirror', 'ExtensionRef']);

export const FILTERS: Field<readonly ReturnType<typeof filterOf>[]> = {
  schema: FILTER_LIST.schema,
  read(value, path, problems) {
    const filters = FILTER_LIST.read(value, path, problems);
    if (filters === undefined) return undefined;
    const types = filters.map(({ type }) => type);
    const repeated = types.findIndex((type, i) => !REPEATABLE.has(type) && types.indexOf(type) < i);
    if (repeated < 0) return filters.map(filterOf);
    problems.add(`${path}[${repeated}]`, `the filter ${types[repeated] ?? ''} must not be repeated`, 'join the two');
    return undefined;
  },
};

function filterOf({ type, requestHeaderModifier, responseHeaderModifier }: RawFilter) {
  const modifier = requestHeaderModifier ?? responseHeaderModifier;
  const typed = type === 'RequestHeaderModifier' || type === 'ResponseHeaderModifier';
  return typed && modifier !== null ? { type, modifier } : { type: 'unsupported' as const, name: type };
}
