/**
 * Filters of HTTPRoute and GRPCRoute, with the bounds and rules of Gateway API v1. Those that this mesh does not have are kept by their
 * name, so that the status can say so. Knows nothing of the rule that they stand in.
 */
import { CORS, type CorsSpec } from './cors-filter.ts';
import { ANYTHING, choice, type Field, integer, MAX_INT32, string, type ValueOf } from './field.ts';
import { MIRROR_REF, type PlainBackendRef } from './route-references.ts';
import { defaulted, list, object, optional, required, type Check } from './structure.ts';
import { dnsSubdomain, headerName, headerValue, portNumber } from './text-forms.ts';

export interface HeaderModifier {
  readonly set: readonly { readonly name: string; readonly value: string }[];
  readonly add: readonly { readonly name: string; readonly value: string }[];
  readonly remove: readonly string[];
}

export interface PathModifier {
  readonly type: 'ReplaceFullPath' | 'ReplacePrefixMatch';
  readonly value: string;
}

export interface Redirect {
  /** Empty: that of the request. */
  readonly scheme: '' | 'http' | 'https';
  /** Empty: that of the request. */
  readonly hostname: string;
  readonly path: PathModifier | null;
  readonly port: number | null;
  readonly status: 301 | 302 | 303 | 307 | 308;
}

export interface Rewrite {
  /** Empty: that of the request. */
  readonly hostname: string;
  readonly path: PathModifier | null;
}

export interface Mirror {
  readonly backendRef: PlainBackendRef;
  /** Of requests that are copied. */
  readonly percent: number;
}

export type GrpcRouteFilter =
  | { readonly type: 'RequestHeaderModifier'; readonly modifier: HeaderModifier }
  | { readonly type: 'ResponseHeaderModifier'; readonly modifier: HeaderModifier }
  | { readonly type: 'RequestMirror'; readonly mirror: Mirror }
  | { readonly type: 'unsupported'; readonly name: string };

export type HttpRouteFilter =
  | GrpcRouteFilter
  | { readonly type: 'CORS'; readonly cors: CorsSpec }
  | { readonly type: 'RequestRedirect'; readonly redirect: Redirect }
  | { readonly type: 'URLRewrite'; readonly rewrite: Rewrite };

/** Gateway API: maxItems of header modifiers and of filters. */
const MAX_ITEMS = 16;

const byName = { keys: ['name'], of: (item: { readonly name: string }) => item.name };

/** Of names that differ in case only the first counts (Gateway API: later ones must be ignored, not refused). */
export function firstOfEachName<T extends { readonly name: string }>(field: Field<readonly T[]>): Field<readonly T[]> {
  return {
    schema: field.schema,
    read(value, path, problems) {
      const items = field.read(value, path, problems);
      const names = items?.map(({ name }) => name.toLowerCase()) ?? [];
      return items?.filter((_, i) => names.indexOf(names[i] ?? '') === i);
    },
  };
}

const HEADERS = firstOfEachName(
  list(object({ name: required(headerName), value: required(headerValue) }), { maxItems: MAX_ITEMS, unique: byName }),
);

const HEADER_MODIFIER = object({
  set: optional(HEADERS, []),
  add: optional(HEADERS, []),
  remove: optional(list(headerName, { maxItems: MAX_ITEMS, unique: { keys: [], of: (name) => name } }), []),
});

const pathText = string({ maxLength: 1024 });
const PATH_MEMBERS = {
  type: required(choice(['ReplaceFullPath', 'ReplacePrefixMatch'])),
  replaceFullPath: optional(pathText, null),
  replacePrefixMatch: optional(pathText, null),
};
type RawPath = ValueOf<ReturnType<typeof object<typeof PATH_MEMBERS>>>;

/** Rules of HTTPPathModifier. */
const PATH_RULES: readonly Check<RawPath>[] = [
  {
    message: 'replaceFullPath must be given for the type ReplaceFullPath, and only for it',
    holds: ({ type, replaceFullPath }) => (type === 'ReplaceFullPath') === (replaceFullPath !== null),
  },
  {
    message: 'replacePrefixMatch must be given for the type ReplacePrefixMatch, and only for it',
    holds: ({ type, replacePrefixMatch }) => (type === 'ReplacePrefixMatch') === (replacePrefixMatch !== null),
  },
];
const PATH = object(PATH_MEMBERS, PATH_RULES);

function pathOf(raw: RawPath | null): PathModifier | null {
  return raw === null ? null : { type: raw.type, value: raw.replaceFullPath ?? raw.replacePrefixMatch ?? '' };
}

const STATUSES = [301, 302, 303, 307, 308] as const;

/** An integer that is one of these. */
const redirectStatus: Field<Redirect['status']> = {
  schema: { type: 'integer', enum: STATUSES },
  read(value, path, problems) {
    const status = STATUSES.find((known) => known === value);
    if (status === undefined) problems.add(path, `must be one of ${STATUSES.join(', ')}`);
    return status;
  },
};

/** Gateway API: PreciseHostname, without wildcard. */
const hostname = dnsSubdomain;

const REDIRECT = object({
  scheme: optional(choice(['http', 'https']), ''),
  hostname: optional(hostname, ''),
  path: optional(PATH, null),
  port: optional(portNumber, null),
  statusCode: optional(redirectStatus, 302),
});

const REWRITE = object({ hostname: optional(hostname, ''), path: optional(PATH, null) });

const FRACTION = object(
  { numerator: required(integer(0, MAX_INT32)), denominator: defaulted(integer(1, MAX_INT32), 100) },
  [
    {
      message: 'numerator must be less than or equal to denominator',
      holds: ({ numerator, denominator }) => numerator <= denominator,
    },
  ],
);

/** Rules of HTTPRequestMirrorFilter. */
const MIRROR = object(
  { backendRef: required(MIRROR_REF), percent: optional(integer(0, 100), null), fraction: optional(FRACTION, null) },
  [
    {
      message: 'only one of percent or fraction may be specified',
      holds: ({ percent, fraction }) => percent === null || fraction === null,
    },
  ],
);

function mirrorOf({ backendRef, percent, fraction }: ValueOf<typeof MIRROR>): Mirror {
  const share = fraction === null ? 100 : (fraction.numerator / fraction.denominator) * 100;
  return { backendRef: { ...backendRef, weight: 1 }, percent: percent ?? share };
}

/** The body that each type of filter needs. */
const GRPC_BODIES = {
  RequestHeaderModifier: 'requestHeaderModifier',
  ResponseHeaderModifier: 'responseHeaderModifier',
  RequestMirror: 'requestMirror',
  ExtensionRef: 'extensionRef',
} as const;
const HTTP_BODIES = {
  ...GRPC_BODIES,
  RequestRedirect: 'requestRedirect',
  URLRewrite: 'urlRewrite',
  CORS: 'cors',
} as const;

const GRPC_MEMBERS = {
  type: required(choice(Object.keys(GRPC_BODIES) as readonly (keyof typeof GRPC_BODIES)[])),
  requestHeaderModifier: optional(HEADER_MODIFIER, null),
  responseHeaderModifier: optional(HEADER_MODIFIER, null),
  requestMirror: optional(MIRROR, null),
  extensionRef: optional(ANYTHING, null),
};
const HTTP_MEMBERS = {
  ...GRPC_MEMBERS,
  type: required(choice(Object.keys(HTTP_BODIES) as readonly (keyof typeof HTTP_BODIES)[])),
  requestRedirect: optional(REDIRECT, null),
  urlRewrite: optional(REWRITE, null),
  cors: optional(CORS, null),
};

/** Each type has its body and no other (Gateway API: rules of HTTPRouteFilter and GRPCRouteFilter). */
function bodyRules<T extends { readonly type: string }>(
  bodies: Readonly<Record<string, keyof T & string>>,
): Check<T>[] {
  return Object.entries(bodies).flatMap(([type, body]) => [
    {
      message: `${body} must be given for the filter type ${type}`,
      holds: (filter: T) => filter.type !== type || filter[body] !== null,
    },
    {
      message: `${body} must not be given unless the filter type is ${type}`,
      holds: (filter: T) => filter.type === type || filter[body] === null,
    },
  ]);
}

const GRPC_FILTER = object(GRPC_MEMBERS, bodyRules(GRPC_BODIES));
const HTTP_FILTER = object(HTTP_MEMBERS, bodyRules(HTTP_BODIES));

/** Each type at most once in a list, except those that may stand for several things. */
const REPEATABLE: ReadonlySet<string> = new Set(['RequestMirror', 'ExtensionRef']);

function filterList<R extends { readonly type: string }, F>(
  filter: Field<R>,
  typed: (raw: R) => F | null,
): Field<readonly (F | { readonly type: 'unsupported'; readonly name: string })[]> {
  const raw = list(filter, { maxItems: MAX_ITEMS });
  return {
    schema: raw.schema,
    read(value, path, problems) {
      const filters = raw.read(value, path, problems);
      if (filters === undefined) return undefined;
      const types = filters.map(({ type }) => type);
      const repeated = types.findIndex((type, i) => !REPEATABLE.has(type) && types.indexOf(type) < i);
      if (repeated >= 0) {
        problems.add(
          `${path}[${repeated}]`,
          `the filter ${types[repeated] ?? ''} must not be repeated`,
          'join the two',
        );
        return undefined;
      }
      if (types.includes('RequestRedirect') && types.includes('URLRewrite')) {
        problems.add(
          path,
          'RequestRedirect and URLRewrite must not stand together',
          'a redirect has path and hostname too',
        );
        return undefined;
      }
      return filters.map((one) => typed(one) ?? { type: 'unsupported', name: one.type });
    },
  };
}

type Modifiers = Pick<
  ValueOf<typeof GRPC_FILTER>,
  'requestHeaderModifier' | 'responseHeaderModifier' | 'requestMirror'
>;

function modifierOf({
  requestHeaderModifier,
  responseHeaderModifier,
  requestMirror,
}: Modifiers): GrpcRouteFilter | null {
  if (requestHeaderModifier !== null) return { type: 'RequestHeaderModifier', modifier: requestHeaderModifier };
  if (responseHeaderModifier !== null) return { type: 'ResponseHeaderModifier', modifier: responseHeaderModifier };
  if (requestMirror !== null) return { type: 'RequestMirror', mirror: mirrorOf(requestMirror) };
  return null;
}

export const GRPC_FILTERS: Field<readonly GrpcRouteFilter[]> = filterList(GRPC_FILTER, modifierOf);

export const HTTP_FILTERS: Field<readonly HttpRouteFilter[]> = filterList(
  HTTP_FILTER,
  (raw): HttpRouteFilter | null => {
    const { requestRedirect, urlRewrite, cors } = raw;
    if (cors !== null) return { type: 'CORS', cors };
    if (requestRedirect !== null) {
      const { statusCode: status, path, ...rest } = requestRedirect;
      return { type: 'RequestRedirect', redirect: { ...rest, path: pathOf(path), status } };
    }
    if (urlRewrite !== null) {
      return { type: 'URLRewrite', rewrite: { hostname: urlRewrite.hostname, path: pathOf(urlRewrite.path) } };
    }
    return modifierOf(raw);
  },
);
