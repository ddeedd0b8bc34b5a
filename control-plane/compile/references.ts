/**
 * Where a backendRef of a route or policy leads, or why it leads nowhere, with the reasons of Gateway API (HTTPRoute, ResolvedRefs).
 * Knows neither filters nor weights.
 */
import { err, ok, type Result } from '#base/result.ts';
import type { KubeObject } from '../kinds/meta.ts';
import type { PlainBackendRef } from '../kinds/route-references.ts';
import type { Service } from '../kinds/service.ts';
import type { Grants, ReferringKind } from './grants.ts';
import { meshPorts } from './services.ts';

export interface Backend {
  readonly namespace: string;
  readonly service: string;
  readonly port: number;
}

export interface Unresolved {
  readonly reason: 'InvalidKind' | 'RefNotPermitted' | 'BackendNotFound';
  readonly message: string;
}

/** What a reference can lead to, and what may lead there. */
export interface Referents {
  readonly services: ReadonlyMap<string, Service>;
  readonly grants: Grants;
}

/**
 * @param parent the Service that a route is attached to: a consumer's route may lead back to it from another namespace. Null: none
 */
export function resolveBackend(
  ref: Omit<PlainBackendRef, 'weight'>,
  referrer: KubeObject & { readonly kind: ReferringKind },
  parent: Service | null,
  { services, grants }: Referents,
): Result<Backend, Unresolved> {
  const own = referrer.meta.namespace;
  const namespace = ref.namespace === '' ? own : ref.namespace;
  const name = `Service ${namespace}/${ref.name}`;
  if ((ref.group !== '' && ref.group !== 'core') || ref.kind !== 'Service') {
    const kind = ref.group === '' ? ref.kind : `${ref.group}/${ref.kind}`;
    return err({ reason: 'InvalidKind', message: `${kind} ${ref.name} is no Service, only Services can be backends` });
  }
  const isParent = parent !== null && namespace === parent.meta.namespace && ref.name === parent.meta.name;
  if (namespace !== own && !isParent && !grants.permits(referrer.kind, own, namespace, ref.name)) {
    const message = `${name} is in another namespace: that takes a ReferenceGrant there, from ${referrer.kind} in ${own}`;
    return err({ reason: 'RefNotPermitted', message });
  }
  const service = services.get(`${namespace}/${ref.name}`);
  if (service === undefined) return err({ reason: 'BackendNotFound', message: `${name} does not exist` });
  if (service.spec.type === 'ExternalName') {
    return err({ reason: 'BackendNotFound', message: `${name} is of type ExternalName, which cannot be a backend` });
  }
  const { port } = ref;
  if (port === null) {
    return err({ reason: 'BackendNotFound', message: `${name} needs a port: write one of ${portList(service)}` });
  }
  if (!meshPorts(service).some((p) => p.port === port)) {
    return err({ reason: 'BackendNotFound', message: `${name} has no TCP port ${port}, but ${portList(service)}` });
  }
  return ok({ namespace, service: ref.name, port });
}

function portList(service: Service): string {
  const ports = meshPorts(service).map((p) => p.port);
  return ports.length === 0 ? 'none' : ports.join(', ');
}
