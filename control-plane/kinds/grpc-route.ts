/** GRPCRoute (gateway.networking.k8s.io/v1) with a Service as parent (GAMMA). Field meaning: Gateway API specification. */
import { linearRegex } from '#base/regex.ts';
import { ANYTHING, choice, type Field, string, type ValueOf } from './field.ts';
import { HEADER_MATCHES } from './http-route-matches.ts';
import type { NamedValueMatch } from './http-route.ts';
import type { KubeObject } from './meta.ts';
import { type ParseContext, readObject, strictEnvelope } from './object.ts';
import { GRPC_FILTERS, type GrpcRouteFilter } from './route-filters.ts';
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

export interface GrpcMethodMatch {
  readonly type: 'Exact' | 'RegularExpression';
  /** `package.Service`; empty: any. */
  readonly service: string;
  /** Empty: any. One of the two is given. */
  readonly method: string;
}

export interface GrpcRouteMatch {
  /** Null: any call. */
  readonly method: GrpcMethodMatch | null;
  readonly headers: readonly NamedValueMatch[];
}

export interface GrpcRouteRule {
  readonly name: string;
  /** Never empty. */
  readonly matches: readonly GrpcRouteMatch[];
  readonly filters: readonly GrpcRouteFilter[];
  readonly backendRefs: readonly BackendRef<GrpcRouteFilter>[];
  /** Null: not given. */
  readonly sessionPersistence: SessionPersistence | null;
}

export interface GrpcRoute extends KubeObject {
  readonly kind: 'GRPCRoute';
  readonly spec: {
    readonly parentRefs: readonly ParentRef[];
    readonly hostnames: readonly string[];
    readonly rules: readonly GrpcRouteRule[];
  };
}

/** Bounds of Gateway API v1. */
const MAX_RULES = 16;
const MAX_MATCHES = 64;
const MAX_MATCHES_IN_ALL = 128;

const EVERYTHING: GrpcRouteMatch = { method: null, headers: [] };

const methodText = string({ minLength: 1, maxLength: 1024 });
const METHOD_MEMBERS = {
  type: defaulted(choice(['Exact', 'RegularExpression']), 'Exact'),
  service: optional(methodText, ''),
  method: optional(methodText, ''),
};
const SERVICE_NAME = /^\.?[a-z_]\w*(\.[a-z_]\w*)*$/i;
const METHOD_NAME = /^[a-z_]\w*$/i;

/** Rules of GRPCMethodMatch. */
const METHOD_RULES: readonly Check<GrpcMethodMatch>[] = [
  {
    message: 'one or both of service and method must be given',
    holds: ({ service, method }) => service !== '' || method !== '',
  },
  {
    message: 'must be the name of a gRPC service, such as shop.v1.Reviews',
    at: 'service',
    holds: ({ type, service }) => type !== 'Exact' || service === '' || SERVICE_NAME.test(service),
  },
  {
    message: 'must be the name of a gRPC method, such as GetReview',
    at: 'method',
    holds: ({ type, method }) => type !== 'Exact' || method === '' || METHOD_NAME.test(method),
  },
];
const METHOD_OBJECT = object(METHOD_MEMBERS, METHOD_RULES);

/** With the check of regular expressions, which no schema can say. */
const METHOD: Field<GrpcMethodMatch> = {
  schema: METHOD_OBJECT.schema,
  read(value, path, problems) {
    const match = METHOD_OBJECT.read(value, path, problems);
    if (match?.type !== 'RegularExpression') return match;
    const bad = (['service', 'method'] as const).filter((key) => {
      const regex = linearRegex(match[key]);
      if (!regex.ok) problems.add(`${path}.${key}`, regex.error, 'use RE2 syntax: no look-around, no back references');
      return !regex.ok;
    });
    return bad.length === 0 ? match : undefined;
  },
};

const MATCH = object({ method: optional(METHOD, null), headers: optional(HEADER_MATCHES, []) });

const RULE = object({
  name: optional(sectionName, ''),
  matches: optional(list(MATCH, { maxItems: MAX_MATCHES }), [EVERYTHING]),
  filters: optional(GRPC_FILTERS, []),
  backendRefs: optional(backendRefs(GRPC_FILTERS), []),
  sessionPersistence: optional(SESSION_PERSISTENCE, null),
});

const SPEC_MEMBERS = {
  parentRefs: optional(PARENT_REFS, []),
  hostnames: optional(HOSTNAMES, []),
  rules: optional(list(RULE, { maxItems: MAX_RULES }), []),
};

const GRPC_ROUTE = object({
  ...strictEnvelope(dnsSubdomain),
  spec: required(object(SPEC_MEMBERS, ruleChecks(MAX_MATCHES_IN_ALL))),
  status: optional(ANYTHING, null),
});

/** An empty list of matches means the same as none. */
function ruleOf({ matches, ...rule }: ValueOf<typeof RULE>): GrpcRouteRule {
  return { ...rule, matches: matches.length === 0 ? [EVERYTHING] : matches };
}

export function parseGrpcRoute(value: unknown, context: ParseContext): GrpcRoute | null {
  return readObject('GRPCRoute', GRPC_ROUTE, value, context, ({ spec }, common) => ({
    kind: 'GRPCRoute',
    ...common,
    spec: { parentRefs: spec.parentRefs, hostnames: spec.hostnames, rules: spec.rules.map(ruleOf) },
  }));
}
