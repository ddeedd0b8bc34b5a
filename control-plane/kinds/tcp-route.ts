/** TCPRoute (gateway.networking.k8s.io) with a Service as parent: where opaque connections go. Field meaning: Gateway API specification. */
import { ANYTHING } from './field.ts';
import type { KubeObject } from './meta.ts';
import { type ParseContext, readObject, strictEnvelope } from './object.ts';
import { PARENT_REFS, PLAIN_BACKEND_REFS, type ParentRef } from './route-references.ts';
import { list, object, optional, required } from './structure.ts';
import { dnsSubdomain, sectionName } from './text-forms.ts';
import type { StreamRouteRule } from './tls-route.ts';

export interface TcpRoute extends KubeObject {
  readonly kind: 'TCPRoute';
  readonly spec: {
    readonly parentRefs: readonly ParentRef[];
    /** Exactly one: without matches there is nothing that could choose another. */
    readonly rules: readonly StreamRouteRule[];
  };
}

const RULE = object({ name: optional(sectionName, ''), backendRefs: required(PLAIN_BACKEND_REFS) });

const TCP_ROUTE = object({
  ...strictEnvelope(dnsSubdomain),
  spec: required(
    object({
      parentRefs: optional(PARENT_REFS, []),
      rules: required(list(RULE, { minItems: 1, maxItems: 1 })),
    }),
  ),
  status: optional(ANYTHING, null),
});

export function parseTcpRoute(value: unknown, context: ParseContext): TcpRoute | null {
  return readObject('TCPRoute', TCP_ROUTE, value, context, ({ spec }, common) => ({
    kind: 'TCPRoute',
    ...common,
    spec,
  }));
}
