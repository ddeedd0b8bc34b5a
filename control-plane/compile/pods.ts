/**
 * Pods, found quickly: by the labels that a Service selects, and by address; and what a target port means on one of them.
 * Knows no mesh; answers in Kubernetes objects.
 */
import { objectKey } from '../kinds/meta.ts';
import type { Pod } from '../kinds/pod.ts';
import type { Service, ServicePortSpec } from '../kinds/service.ts';

export interface PodIndex {
  /** Pods that the Service's selector matches, in order of their keys. A Service without selector matches none. */
  matching(service: Service): readonly Pod[];
  /** The pod that has this address; of several (one is ending, or shares its host's network) the one that most likely answers. */
  at(address: string): Pod | undefined;
}

/** Made as far as it is asked: a namespace is looked through at the first question about it, addresses at the first one about any. */
export function podIndex(pods: ReadonlyMap<string, Pod>): PodIndex {
  const byNamespace = Map.groupBy(pods.values(), (pod) => pod.meta.namespace);
  const byLabel = new Map<string, ReadonlyMap<string, readonly Pod[]>>();
  let byAddress: ReadonlyMap<string, Pod> | null = null;
  return {
    matching(service) {
      const first = Object.entries(service.spec.selector)[0];
      if (first === undefined) return [];
      const { namespace } = service.meta;
      let index = byLabel.get(namespace);
      if (index === undefined) byLabel.set(namespace, (index = indexLabels(byNamespace.get(namespace) ?? [])));
      const candidates = index.get(labelKey(...first)) ?? [];
      return candidates.filter((pod) => selects(service, pod)).sort(byKey);
    },
    at(address) {
      byAddress ??= indexAddresses(pods);
      return byAddress.get(address);
    },
  };
}

function indexLabels(pods: readonly Pod[]): ReadonlyMap<string, readonly Pod[]> {
  const index = new Map<string, Pod[]>();
  for (const pod of pods) {
    for (const [label, value] of Object.entries(pod.meta.labels)) {
      const key = labelKey(label, value);
      const list = index.get(key);
      if (list === undefined) index.set(key, [pod]);
      else list.push(pod);
    }
  }
  return index;
}

function indexAddresses(pods: ReadonlyMap<string, Pod>): ReadonlyMap<string, Pod> {
  const index = new Map<string, Pod>();
  for (const pod of pods.values()) {
    for (const address of pod.status.podIps) {
      const other = index.get(address);
      if (other === undefined || liveliness(pod) - liveliness(other) > 0 || isEqualAndEarlier(pod, other)) {
        index.set(address, pod);
      }
    }
  }
  return index;
}

/** Whatever the order in which pods were read, the same one is found. */
function isEqualAndEarlier(pod: Pod, other: Pod): boolean {
  return liveliness(pod) === liveliness(other) && byKey(pod, other) < 0;
}

/** The Service's selector matches this pod; an empty selector matches none. */
export function selects(service: Service, pod: Pod): boolean {
  if (service.meta.namespace !== pod.meta.namespace) return false;
  const wanted = Object.entries(service.spec.selector);
  return wanted.length > 0 && wanted.every(([label, value]) => pod.meta.labels[label] === value);
}

/** It holds an address and may run: not ended, however it ended. */
export function isLive(pod: Pod): boolean {
  return pod.status.podIps.length > 0 && pod.status.phase !== 'Succeeded' && pod.status.phase !== 'Failed';
}

/** The port number on this pod; null when no container has a port of that name. */
export function targetPortOn(pod: Pod, port: ServicePortSpec): number | null {
  const target = port.targetPort;
  if (typeof target === 'number') return target;
  for (const container of pod.spec.containers) {
    const named = container.ports.find((p) => p.name === target && p.protocol === 'TCP');
    if (named !== undefined) return named.containerPort;
  }
  return null;
}

function liveliness(pod: Pod): number {
  if (!isLive(pod)) return 0;
  return pod.terminating ? 1 : 2;
}

function byKey(a: Pod, b: Pod): number {
  return objectKey(a.meta) < objectKey(b.meta) ? -1 : 1;
}

function labelKey(label: string, value: string): string {
  return `${label}\n${value}`;
}
