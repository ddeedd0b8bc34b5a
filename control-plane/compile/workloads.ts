/**
 * Pods to workloads: who they are, whether they have a sidecar, what their inbound side takes.
 * Knows no endpoint: whether a pod gets traffic is said there.
 */
import { UNKNOWN_DESTINATIONS } from '../kinds/mesh-policy.ts';
import { objectKey } from '../kinds/meta.ts';
import { ZONE_LABEL } from '../kinds/pod-spec.ts';
import type { Namespace } from '../kinds/namespace.ts';
import type { Pod } from '../kinds/pod.ts';
import type { Service } from '../kinds/service.ts';
import type { MtlsMode, Workload } from '../model/mesh.ts';
import type { AppProtocol } from '../model/protocol.ts';
import { condition, objectStatus, type ObjectStatus } from './conditions.ts';
import type { CompileOptions } from './compiled.ts';
import { UNKNOWN_ANNOTATION } from './outbound.ts';
import { selects, targetPortOn } from './pods.ts';
import { protocolOf } from './protocols.ts';

const INJECT = 'tulle.dev/inject';
const MTLS_MODE = 'tulle.dev/mtls-mode';
/** Services by what they select, so that those of a pod are found without asking every one. */
export interface SelectorIndex {
  selecting(pod: Pod): readonly Service[];
}

export function selectorIndex(services: ReadonlyMap<string, Service>): SelectorIndex {
  const byFirstLabel = Map.groupBy(services.values(), ({ meta, spec }) => {
    const [label, value] = Object.entries(spec.selector)[0] ?? [];
    return `${meta.namespace}\n${label}\n${value}`;
  });
  return {
    selecting: (pod) =>
      Object.entries(pod.meta.labels)
        .flatMap(([label, value]) => byFirstLabel.get(`${pod.meta.namespace}\n${label}\n${value}`) ?? [])
        .filter((service) => selects(service, pod)),
  };
}

/** Null for a pod that has ended. */
export function compileWorkload(
  pod: Pod,
  namespace: Namespace | undefined,
  services: SelectorIndex,
  options: CompileOptions,
): Workload | null {
  if (pod.status.phase === 'Succeeded' || pod.status.phase === 'Failed') return null;
  const serviceAccount = pod.spec.serviceAccountName === '' ? 'default' : pod.spec.serviceAccountName;
  return {
    namespace: pod.meta.namespace,
    name: pod.meta.name,
    owner: pod.owner,
    serviceAccount,
    identity: `spiffe://${options.trustDomain}/ns/${pod.meta.namespace}/sa/${serviceAccount}`,
    addresses: pod.status.podIps,
    meshed: isMeshed(pod, namespace),
    mtlsMode: mtlsModeOf(pod, namespace) ?? options.defaultMtlsMode,
    zone: zoneOf(pod),
    inboundPorts: inboundPorts(pod, services),
  };
}

/** A pod that may only run in one zone is there, whatever nobody wrote on it. */
export function zoneOf({ meta, spec }: Pod): string {
  return meta.labels[ZONE_LABEL] ?? spec.nodeSelector[ZONE_LABEL] ?? '';
}

function isMeshed(pod: Pod, namespace: Namespace | undefined): boolean {
  const own = pod.meta.annotations[INJECT];
  if (own === 'enabled' || own === 'disabled') return own === 'enabled';
  return namespace?.meta.labels[INJECT] === 'enabled';
}

function mtlsModeOf(pod: Pod, namespace: Namespace | undefined): MtlsMode | null {
  for (const object of [pod, namespace]) {
    const mode = object?.meta.annotations[MTLS_MODE];
    if (mode === 'PERMISSIVE' || mode === 'STRICT') return mode;
  }
  return null;
}

/** When two Services declare the same port differently, a declared protocol wins over `unknown`, then the alphabetically first Service. */
function inboundPorts(pod: Pod, services: SelectorIndex): Workload['inboundPorts'] {
  const ports = new Map<number, AppProtocol>();
  const selecting = [...services.selecting(pod)].sort((a, b) => (objectKey(a.meta) < objectKey(b.meta) ? -1 : 1));
  for (const port of selecting.flatMap((service) => service.spec.ports)) {
    const number = port.protocol === 'TCP' ? targetPortOn(pod, port) : null;
    if (number !== null && (ports.get(number) ?? 'unknown') === 'unknown') ports.set(number, protocolOf(port));
  }
  for (const { containerPort, protocol } of pod.spec.containers.flatMap((container) => container.ports)) {
    if (protocol === 'TCP' && !ports.has(containerPort)) ports.set(containerPort, 'unknown');
  }
  return [...ports].map(([port, protocol]) => ({ port, protocol })).sort((a, b) => a.port - b.port);
}

/** What is wrong with the annotations and labels that speak to the mesh; null when nothing is. */
export function meshingStatus(object: Pod | Namespace): ObjectStatus | null {
  const { annotations, labels } = object.meta;
  const problems: string[] = [];
  const check = (what: string, value: string | undefined, allowed: readonly string[]): void => {
    if (value === undefined || allowed.includes(value)) return;
    problems.push(`${what} is ${JSON.stringify(value)} and does not count: write ${allowed.join(' or ')}`);
  };
  check(`annotation ${MTLS_MODE}`, annotations[MTLS_MODE], ['PERMISSIVE', 'STRICT']);
  if (object.kind === 'Pod') check(`annotation ${INJECT}`, annotations[INJECT], ['enabled', 'disabled']);
  else {
    check(`label ${INJECT}`, labels[INJECT], ['enabled', 'disabled']);
    check(`annotation ${UNKNOWN_ANNOTATION}`, annotations[UNKNOWN_ANNOTATION], UNKNOWN_DESTINATIONS);
  }
  if (problems.length === 0) return null;
  return objectStatus(object, {
    conditions: [condition(object, 'Accepted', false, 'InvalidValue', problems.join('; '))],
  });
}
