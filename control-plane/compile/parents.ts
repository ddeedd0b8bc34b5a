/**
 * Services as parents of routes (GAMMA, GEP-1324), the same for every kind of route: which Service and which of its ports a parentRef means.
 * Knows no rule of a route.
 */
import { objectKey, type KubeObject } from '../kinds/meta.ts';
import type { ParentRef } from '../kinds/route-references.ts';
import type { Service, ServicePortSpec } from '../kinds/service.ts';
import type { AppProtocol } from '../model/protocol.ts';
import { condition, type Condition, type ParentStatus } from './conditions.ts';
import { protocolOf } from './protocols.ts';
import { meshPorts } from './services.ts';

/** Parents of other kinds are other controllers' business. */
export function isServiceRef(ref: ParentRef): boolean {
  return ref.kind === 'Service' && (ref.group === '' || ref.group === 'core');
}

export function parentNamespace(route: KubeObject, ref: ParentRef): string {
  return ref.namespace === '' ? route.meta.namespace : ref.namespace;
}

export function parentRef(route: KubeObject, ref: ParentRef): ParentStatus['ref'] {
  const { group, kind, name, sectionName, port } = ref;
  return { group, kind, namespace: parentNamespace(route, ref), name, sectionName, port };
}

/**
 * The ports that the parentRef means, or the sentence that says why there is none.
 * @param what the route is for, as in `HTTP`
 */
export function attachablePorts(
  service: Service,
  ref: ParentRef,
  what: string,
  mayCarry: (protocol: AppProtocol) => boolean,
): readonly ServicePortSpec[] | string {
  const name = `Service ${objectKey(service.meta)}`;
  const chosen = meshPorts(service).filter(
    (port) =>
      (ref.port === null || port.port === ref.port) && (ref.sectionName === '' || port.name === ref.sectionName),
  );
  if (chosen.length === 0) {
    const wanted = [ref.port ?? '', ref.sectionName].filter((part) => part !== '').join(' named ');
    return wanted === '' ? `${name} has no TCP port` : `${name} has no TCP port ${wanted}`;
  }
  const able = chosen.filter((port) => mayCarry(protocolOf(port)));
  return able.length > 0
    ? able
    : `${name} carries no ${what} there: its port is declared ${[...new Set(chosen.map(protocolOf))].join(', ')}`;
}

export function refusedConditions(route: KubeObject, message: string): Condition[] {
  return [
    condition(route, 'Accepted', false, 'NoMatchingParent', message),
    condition(route, 'ResolvedRefs', true, 'ResolvedRefs'),
  ];
}
