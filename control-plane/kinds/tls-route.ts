/**
 * TLSRoute (gateway.networking.k8s.io) with a Service as parent: TLS of applications, routed by the server name of its ClientHello.
 * Field meaning: Gateway API specification, where v1 is v1alpha3 under its last name.
 */
import { isIP } from 'node:net';
import { ANYTHING, checked } from './field.ts';
import type { KubeObject } from './meta.ts';
import { type ParseContext, readObject, strictEnvelope } from './object.ts';
import { hostname, PARENT_REFS, PLAIN_BACKEND_REFS, type PlainBackendRef, type ParentRef } from './route-references.ts';
import { list, object, optional, required } from './structure.ts';
import { dnsSubdomain, sectionName } from './text-forms.ts';

export interface StreamRouteRule {
  readonly name: string;
  readonly backendRefs: readonly PlainBackendRef[];
}

export interface TlsRoute extends KubeObject {
  readonly kind: 'TLSRoute';
  readonly spec: {
    readonly parentRefs: readonly ParentRef[];
    /** Exact, or `*.` and a suffix; lower-case, never empty. */
    readonly hostnames: readonly string[];
    /** Exactly one. */
    readonly rules: readonly StreamRouteRule[];
  };
}

/** Bound of Gateway API v1. */
const MAX_HOSTNAMES = 1024;

/** RFC 6066 section 3: addresses are no server names. */
const serverName = checked(
  hostname,
  (text) => (isIP(text) === 0 ? '' : `${JSON.stringify(text)} is an address, and server names never are`),
  'write a host name such as db.example or *.db.example',
);

const RULE = object({ name: optional(sectionName, ''), backendRefs: required(PLAIN_BACKEND_REFS) });

const TLS_ROUTE = object({
  ...strictEnvelope(dnsSubdomain),
  spec: required(
    object({
      parentRefs: optional(PARENT_REFS, []),
      hostnames: required(list(serverName, { minItems: 1, maxItems: MAX_HOSTNAMES })),
      rules: required(list(RULE, { minItems: 1, maxItems: 1 })),
    }),
  ),
  status: optional(ANYTHING, null),
});

export function parseTlsRoute(value: unknown, context: ParseContext): TlsRoute | null {
  return readObject('TLSRoute', TLS_ROUTE, value, context, ({ spec }, common) => ({
    kind: 'TLSRoute',
    ...common,
    spec,
  }));
}
