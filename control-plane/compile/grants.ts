/**
 * ReferenceGrants: which references across namespaces their owners allow. They add up, and there is no other order among them.
 * Knows no route as a whole.
 */
import type { ReferenceGrant } from '../kinds/reference-grant.ts';

const GATEWAY_GROUP = 'gateway.networking.k8s.io';

/** Kinds of routes that refer to backends. */
export type RouteKind = 'HTTPRoute' | 'GRPCRoute' | 'TLSRoute' | 'TCPRoute';

export interface Grants {
  /** Whether routes of this kind in `fromNamespace` may refer to the Service. */
  permits(kind: RouteKind, fromNamespace: string, namespace: string, service: string): boolean;
}

export function grantTable(grants: ReadonlyMap<string, ReferenceGrant>): Grants {
  const byNamespace = Map.groupBy(grants.values(), ({ meta }) => meta.namespace);
  return {
    permits: (kind, fromNamespace, namespace, service) =>
      (byNamespace.get(namespace) ?? []).some(
        ({ spec }) =>
          spec.from.some(
            (from) => from.group === GATEWAY_GROUP && from.kind === kind && from.namespace === fromNamespace,
          ) && spec.to.some((to) => isService(to) && (to.name === '' || to.name === service)),
      ),
  };
}

function isService({ group, kind }: { readonly group: string; readonly kind: string }): boolean {
  return kind === 'Service' && group === '';
}
