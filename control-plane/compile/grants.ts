/**
 * ReferenceGrants: which references across namespaces their owners allow. They add up, and there is no other order among them.
 * Knows no route as a whole.
 */
import type { ReferenceGrant } from '../kinds/reference-grant.ts';

/** API groups of the kinds that refer to backends. */
const GROUPS = {
  HTTPRoute: 'gateway.networking.k8s.io',
  GRPCRoute: 'gateway.networking.k8s.io',
  TLSRoute: 'gateway.networking.k8s.io',
  TCPRoute: 'gateway.networking.k8s.io',
  TrafficPolicy: 'tulle.dev',
} as const;
export type ReferringKind = keyof typeof GROUPS;

export interface Grants {
  /** Whether objects of this kind in `fromNamespace` may refer to the Service. */
  permits(kind: ReferringKind, fromNamespace: string, namespace: string, service: string): boolean;
}

export function grantTable(grants: ReadonlyMap<string, ReferenceGrant>): Grants {
  const byNamespace = Map.groupBy(grants.values(), ({ meta }) => meta.namespace);
  return {
    permits: (kind, fromNamespace, namespace, service) =>
      (byNamespace.get(namespace) ?? []).some(
        ({ spec }) =>
          spec.from.some(
            (from) => from.group === GROUPS[kind] && from.kind === kind && from.namespace === fromNamespace,
          ) && spec.to.some((to) => isService(to) && (to.name === '' || to.name === service)),
      ),
  };
}

function isService({ group, kind }: { readonly group: string; readonly kind: string }): boolean {
  return kind === 'Service' && group === '';
}
