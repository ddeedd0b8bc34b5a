/** HTTPRoute (gateway.networking.k8s.io/v1) with a Service as parent (GAMMA). Field meaning: Gateway API specification. */
import { ANYTHING, duration, integer, string, type ValueOf } from './field.ts';
import { EVERYTHING, FILTERS, MATCH } from './http-route-fields.ts';
import type { KubeObject } from './meta.ts';
import { type ParseContext, readObject, strictEnvelope } from './object.ts';
import { defaulted, list, object, optional, required, type Check } from './structure.ts';
import { apiGroup, dnsLabel, dnsSubdomain, kindName, portNumber, sectionName } from './text-forms.ts';

export interface ParentRef {
  readonly group: string;
  readonly kind: string;
  /** Empty: the route's own namespace. */
  readonly namespace: string;
  readonly name: string;
  readonly port: number | null;
  readonly sectionName: string;
}

export interface HttpPathMatch {
  readonly type: 'Exact' | 'PathPrefix' | 'RegularExpression';
  readonly value: string;
}

export interface NamedValueMatch {
  readonly type: 'Exact' | 'RegularExpression';
  readonly name: string;
  readonly value: string;
}

export interface HttpRouteMatch {
  readonly path: HttpPathMatch;
  readonly headers: readonly NamedValueMatch[];
  readonly queryParams: readonly NamedValueMatch[];
  /** Empty: any method. */
  readonly method: string;
}

export interface HeaderModifier {
  readonly set: readonly { readonly name: string; readonly value: string }[];
  readonly add: readonly { readonly name: string; readonly value: string }[];
  readonly remove: readonly string[];
}

/** `unsupported` filters are kept, so that the compiler can say so in the status. */
export type HttpRouteFilter =
  | { readonly type: 'RequestHeaderModifier'; readonly modifier: HeaderModifier }
  | { readonly type: 'ResponseHeaderModifier'; readonly modifier: HeaderModifier }
  | { readonly type: 'unsupported'; readonly name: string };

export interface BackendRef {
  readonly group: string;
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
  readonly port: number | null;
  readonly weight: number;
  readonly filters: readonly HttpRouteFilter[];
}

export interface HttpRouteRule {
  readonly name: string;
  readonly matches: readonly HttpRouteMatch[];
  readonly filters: readonly HttpRouteFilter[];
  readonly backendRefs: readonly BackendRef[];
  /** Milliseconds; null: not given; 0: no timeout. */
  readonly timeouts: { readonly requestMs: number | null; readonly backendRequestMs: number | null };
}

export interface HttpRoute extends KubeObject {
  readonly kind: 'HTTPRoute';
  readonly spec: {
    readonly parentRefs: readonly ParentRef[];
    readonly hostnames: readonly string[];
    readonly rules: readonly HttpRouteRule[];
  };
}

const GATEWAY_GROUP = 'gateway.networking.k8s.io';

/** Bounds of Gateway API v1. */
const MAX_PARENTS = 32;
const MAX_HOSTNAMES = 16;
const MAX_RULES = 16;
const MAX_MATCHES = 64;
const MAX_MATCHES_IN_ALL = 128;
const MAX_BACKENDS = 16;
const MAX_WEIGHT = 1_000_000;

const objectName = string({ minLength: 1, maxLength: 253 });

const PARENT_REF = object({
  group: defaulted(apiGroup, GATEWAY_GROUP),
  kind: defaulted(kindName, 'Gateway'),
  namespace: optional(dnsLabel, ''),
  name: required(objectName),
  port: optional(portNumber, null),
  sectionName: optional(sectionName, ''),
});

const BACKEND_MEMBERS = {
  group: defaulted(apiGroup, ''),
  kind: defaulted(kindName, 'Service'),
  namespace: optional(dnsLabel, ''),
  name: required(objectName),
  port: optional(portNumber, null),
  weight: defaulted(integer(0, MAX_WEIGHT), 1),
  filters: optional(FILTERS, []),
};

const BACKEND_RULES: readonly Check<BackendRef>[] = [
  {
    message: 'a reference to a Service must have a port',
    holds: ({ group, kind, port }) => group !== '' || kind !== 'Service' || port !== null,
  },
];

const TIMEOUT_MEMBERS = { request: optional(duration(), null), backendRequest: optional(duration(), null) };
type Timeouts = ValueOf<ReturnType<typeof object<typeof TIMEOUT_MEMBERS>>>;

const TIMEOUT_RULES: readonly Check<Timeouts>[] = [
  {
    message: 'backendRequest must not be longer than request',
    at: 'backendRequest',
    holds: ({ request, backendRequest }) =>
      request === null || backendRequest === null || request === 0 || backendRequest <= request,
  },
];

const RULE = object({
  name: optional(sectionName, ''),
  matches: defaulted(list(MATCH, { maxItems: MAX_MATCHES }), [EVERYTHING]),
  filters: optional(FILTERS, []),
  backendRefs: optional(list(object(BACKEND_MEMBERS, BACKEND_RULES), { maxItems: MAX_BACKENDS }), []),
  timeouts: optional(object(TIMEOUT_MEMBERS, TIMEOUT_RULES), { request: null, backendRequest: null }),
});
type RawRule = ValueOf<typeof RULE>;

const hostname = string({
  minLength: 1,
  maxLength: 253,
  pattern: /^(\*\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/,
  advice: 'write a host name such as shop.example or *.shop.example',
});

const SPEC_MEMBERS = {
  parentRefs: optional(
    list(PARENT_REF, { maxItems: MAX_PARENTS, unique: { keys: [], of: (ref) => JSON.stringify(ref) } }),
    [],
  ),
  hostnames: optional(list(hostname, { maxItems: MAX_HOSTNAMES }), []),
  rules: defaulted(list(RULE, { minItems: 1, maxItems: MAX_RULES }), [ruleOfNothing()]),
};
type RawSpec = ValueOf<ReturnType<typeof object<typeof SPEC_MEMBERS>>>;

const SPEC_RULES: readonly Check<RawSpec>[] = [
  {
    message: `all rules together must have at most ${MAX_MATCHES_IN_ALL} matches`,
    at: 'rules',
    holds: ({ rules }) => rules.reduce((sum, rule) => sum + rule.matches.length, 0) <= MAX_MATCHES_IN_ALL,
  },
  {
    message: 'two rules have the same name',
    at: 'rules',
    holds: ({ rules }) => {
      const names = rules.map(({ name }) => name).filter((name) => name !== '');
      return new Set(names).size === names.length;
    },
  },
];

const HTTP_ROUTE = object({
  ...strictEnvelope(dnsSubdomain),
  spec: required(object(SPEC_MEMBERS, SPEC_RULES)),
  status: optional(ANYTHING, null),
});

function ruleOfNothing(): RawRule {
  const timeouts = { request: null, backendRequest: null };
  return { name: '', matches: [EVERYTHING], filters: [], backendRefs: [], timeouts };
}

function ruleOf({ timeouts, matches, ...rule }: RawRule): HttpRouteRule {
  return {
    ...rule,
    // An empty list means the same as none.
    matches: matches.length === 0 ? [EVERYTHING] : matches,
    timeouts: { requestMs: timeouts.request, backendRequestMs: timeouts.backendRequest },
  };
}

export function parseHttpRoute(value: unknown, context: ParseContext): HttpRoute | null {
  return readObject('HTTPRoute', HTTP_ROUTE, value, context, ({ spec }, common) => ({
    kind: 'HTTPRoute',
    ...common,
    spec: { parentRefs: spec.parentRefs, hostnames: spec.hostnames, rules: spec.rules.map(ruleOf) },
  }));
}
