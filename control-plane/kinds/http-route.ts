/** HTTPRoute (gateway.networking.k8s.io/v1) with a Service as parent (GAMMA). Field meaning: Gateway API specification. */
import { ANYTHING, duration, integer, type ValueOf } from './field.ts';
import { EVERYTHING, MATCH } from './http-route-matches.ts';
import type { KubeObject } from './meta.ts';
import { type ParseContext, readObject, strictEnvelope } from './object.ts';
import { HTTP_FILTERS, type HttpRouteFilter } from './route-filters.ts';
import {
  backendRefs,
  HOSTNAMES,
  PARENT_REFS,
  ruleChecks,
  type BackendRef,
  type ParentRef,
} from './route-references.ts';
import { SESSION_PERSISTENCE, type SessionPersistence } from './session-persistence.ts';
import { defaulted, list, object, optional, required, type Check } from './structure.ts';
import { dnsSubdomain, sectionName } from './text-forms.ts';

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

/** GEP-1731. */
export interface HttpRouteRetry {
  /** Empty: none. */
  readonly codes: readonly number[];
  /** Null: not given. */
  readonly attempts: number | null;
  /** Milliseconds that every retry waits at least; null: not given. */
  readonly backoffMs: number | null;
}

export interface HttpRouteRule {
  readonly name: string;
  readonly matches: readonly HttpRouteMatch[];
  readonly filters: readonly HttpRouteFilter[];
  readonly backendRefs: readonly BackendRef<HttpRouteFilter>[];
  /** Milliseconds; null: not given; 0: no timeout. */
  readonly timeouts: { readonly requestMs: number | null; readonly backendRequestMs: number | null };
  /** Null: not given. */
  readonly retry: HttpRouteRetry | null;
  /** Null: not given. */
  readonly sessionPersistence: SessionPersistence | null;
}

export interface HttpRoute extends KubeObject {
  readonly kind: 'HTTPRoute';
  readonly spec: {
    readonly parentRefs: readonly ParentRef[];
    readonly hostnames: readonly string[];
    readonly rules: readonly HttpRouteRule[];
  };
}

/** Bounds of Gateway API v1. */
const MAX_RULES = 16;
const MAX_MATCHES = 64;
const MAX_MATCHES_IN_ALL = 128;

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

/** The specification has no bound of attempts; one of TrafficPolicy's is enough for anybody. */
const MAX_ATTEMPTS = 100;
const MAX_CODES = 64;

const RETRY = object({
  codes: optional(list(integer(400, 599), { maxItems: MAX_CODES }), []),
  attempts: optional(integer(0, MAX_ATTEMPTS), null),
  backoff: optional(duration(), null),
});

const RULE_MEMBERS = {
  name: optional(sectionName, ''),
  matches: defaulted(list(MATCH, { maxItems: MAX_MATCHES }), [EVERYTHING]),
  filters: optional(HTTP_FILTERS, []),
  backendRefs: optional(backendRefs(HTTP_FILTERS), []),
  timeouts: optional(object(TIMEOUT_MEMBERS, TIMEOUT_RULES), { request: null, backendRequest: null }),
  retry: optional(RETRY, null),
  sessionPersistence: optional(SESSION_PERSISTENCE, null),
};
type RawRule = ValueOf<ReturnType<typeof object<typeof RULE_MEMBERS>>>;

/** Rules of HTTPRouteRule. */
const RULE_RULES: readonly Check<RawRule>[] = [
  {
    message: 'RequestRedirect must not be used together with backendRefs',
    at: 'filters',
    holds: ({ filters, backendRefs }) =>
      backendRefs.length === 0 || filters.every(({ type }) => type !== 'RequestRedirect'),
  },
  {
    message: 'replacePrefixMatch needs exactly one match in its rule, and that by PathPrefix',
    at: 'matches',
    holds: ({ matches, filters, backendRefs }) => {
      const replaces = [filters, ...backendRefs.map((ref) => ref.filters)].some((list) => list.some(replacesPrefix));
      return !replaces || (matches.length === 1 && matches[0]?.path.type === 'PathPrefix');
    },
  },
];
const RULE = object(RULE_MEMBERS, RULE_RULES);

function replacesPrefix(filter: HttpRouteFilter): boolean {
  if (filter.type === 'RequestRedirect') return filter.redirect.path?.type === 'ReplacePrefixMatch';
  return filter.type === 'URLRewrite' && filter.rewrite.path?.type === 'ReplacePrefixMatch';
}

const SPEC_MEMBERS = {
  parentRefs: optional(PARENT_REFS, []),
  hostnames: optional(HOSTNAMES, []),
  rules: defaulted(list(RULE, { minItems: 1, maxItems: MAX_RULES }), [ruleOfNothing()]),
};

const HTTP_ROUTE = object({
  ...strictEnvelope(dnsSubdomain),
  spec: required(object(SPEC_MEMBERS, ruleChecks(MAX_MATCHES_IN_ALL))),
  status: optional(ANYTHING, null),
});

function ruleOfNothing(): RawRule {
  const timeouts = { request: null, backendRequest: null };
  const rule = { name: '', matches: [EVERYTHING], filters: [], backendRefs: [], timeouts };
  return { ...rule, retry: null, sessionPersistence: null };
}

function ruleOf({ timeouts, matches, retry, ...rule }: RawRule): HttpRouteRule {
  return {
    ...rule,
    // An empty list means the same as none.
    matches: matches.length === 0 ? [EVERYTHING] : matches,
    timeouts: { requestMs: timeouts.request, backendRequestMs: timeouts.backendRequest },
    retry: retry === null ? null : { codes: retry.codes, attempts: retry.attempts, backoffMs: retry.backoff },
  };
}

export function parseHttpRoute(value: unknown, context: ParseContext): HttpRoute | null {
  return readObject('HTTPRoute', HTTP_ROUTE, value, context, ({ spec }, common) => ({
    kind: 'HTTPRoute',
    ...common,
    spec: { parentRefs: spec.parentRefs, hostnames: spec.hostnames, rules: spec.rules.map(ruleOf) },
  }));
}
