/**
 * Services as the mesh sees them, without what routes and policies make of them: names, addresses, ports, protocols.
 * Knows no HTTPRoute and no TrafficPolicy.
 */
import type { Service, ServicePortSpec } from '../kinds/service.ts';
import type { MeshService, ServicePort } from '../model/mesh.ts';
import { targetPortOn, type PodIndex } from './pods.ts';

/** The mesh carries it: ExternalName is DNS only, and of a Service's ports those for TCP. */
export function meshPorts(service: Service): readonly ServicePortSpec[] {
  return service.spec.type === 'ExternalName' ? [] : service.spec.ports.filter((port) => port.protocol === 'TCP');
}

export function meshService(service: Service, ports: readonly ServicePort[], clusterDomain: string): MeshService {
  const { namespace, name } = service.meta;
  return {
    namespace,
    name,
    host: `${name}.${namespace}.svc.${clusterDomain}`,
    addresses: service.spec.clusterIps,
    headless: service.spec.headless,
    ports,
  };
}

/** Container ports behind a Service port, ascending. A named one may differ from pod to pod. */
export function targetPorts(service: Service, port: ServicePortSpec, pods: PodIndex): readonly number[] {
  if (typeof port.targetPort === 'number') return [port.targetPort];
  const found = new Set<number>();
  for (const pod of pods.matching(service)) {
    const number = targetPortOn(pod, port);
    if (number !== null) found.add(number);
  }
  return [...found].sort((a, b) => a - b);
}
