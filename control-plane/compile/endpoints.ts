/**
 * Where a Service port really is: its EndpointSlices when it has any, else the pods that it selects.
 * Which of them count follows Kubernetes (KEP-1669): ending ones only while no other is ready. Knows no route and no policy.
 */
import { addressName } from '#api/names.ts';
import type { EndpointSlice } from '../kinds/endpoint-slice.ts';
import { objectKey } from '../kinds/meta.ts';
import type { Pod } from '../kinds/pod.ts';
import type { Service, ServicePortSpec } from '../kinds/service.ts';
import type { Endpoint, Workload } from '../model/mesh.ts';
import { compareText } from './conditions.ts';
import { isLive, targetPortOn, type PodIndex } from './pods.ts';
import { zoneOf } from './workloads.ts';

/** What endpoints are made from. */
export interface EndpointSources {
  readonly pods: PodIndex;
  readonly podsByKey: ReadonlyMap<string, Pod>;
  readonly slices: SliceIndex;
  readonly workloads: ReadonlyMap<string, Workload>;
}

/** By `namespace/name` of the Service. */
export type SliceIndex = ReadonlyMap<string, readonly EndpointSlice[]>;

interface Candidate {
  readonly address: string;
  readonly port: number;
  /** Takes traffic, or for one that is about to end: could still. */
  readonly ready: boolean;
  readonly terminating: boolean;
  readonly zone: string;
  readonly forZones: readonly string[];
  readonly pod: Pod | undefined;
}

export function sliceIndex(slices: ReadonlyMap<string, EndpointSlice>): SliceIndex {
  return Map.groupBy(
    [...slices.values()].filter((slice) => slice.service !== ''),
    sliceOwner,
  );
}

/** `namespace/name` of the Service that a slice belongs to. */
export function sliceOwner(slice: EndpointSlice): string {
  return `${slice.meta.namespace}/${slice.service}`;
}

/** Sorted by address and port, each pair once. */
export function endpointsOf(service: Service, port: ServicePortSpec, sources: EndpointSources): readonly Endpoint[] {
  const slices = sources.slices.get(objectKey(service.meta));
  const candidates =
    slices === undefined ? fromPods(service, port, sources) : fromSlices(service, port, slices, sources);
  const unique = new Map<string, Endpoint>();
  for (const candidate of inUse(candidates)) {
    const name = addressName(candidate.address, candidate.port);
    if (!unique.has(name)) unique.set(name, toEndpoint(candidate, sources));
  }
  return [...unique.values()].sort((a, b) => compareText(a.address, b.address) || a.port - b.port);
}

function fromPods(service: Service, port: ServicePortSpec, sources: EndpointSources): Candidate[] {
  return sources.pods.matching(service).flatMap((pod): Candidate[] => {
    const number = targetPortOn(pod, port);
    const address = pod.status.podIps[0];
    if (number === null || address === undefined || !isLive(pod)) return [];
    const { terminating, status } = pod;
    return [{ address, port: number, ready: status.ready, terminating, zone: zoneOf(pod), forZones: [], pod }];
  });
}

function fromSlices(
  service: Service,
  port: ServicePortSpec,
  slices: readonly EndpointSlice[],
  sources: EndpointSources,
): Candidate[] {
  const family = familyInUse(service, slices);
  return slices
    .filter((slice) => slice.addressType === family)
    .flatMap((slice) => {
      const number = slice.ports.find((p) => p.name === port.name)?.port;
      if (number === undefined) return [];
      return slice.endpoints.flatMap((endpoint): Candidate[] => {
        const { addresses, pod: podName, ready, serving, terminating, zone, forZones } = endpoint;
        // Of several addresses only the first counts (EndpointSlice API).
        const address = addresses[0];
        if (address === undefined) return [];
        const named = podName === '' ? undefined : sources.podsByKey.get(`${slice.meta.namespace}/${podName}`);
        const pod = named ?? sources.pods.at(address);
        const where = zone === '' && pod !== undefined ? zoneOf(pod) : zone;
        const usable = terminating ? serving : ready;
        return [{ address, port: number, ready: usable, terminating, zone: where, forZones, pod }];
      });
    });
}

/** A dual-stack Service has each pod once in slices of either family: only one counts. */
function familyInUse(service: Service, slices: readonly EndpointSlice[]): EndpointSlice['addressType'] {
  const preferred = service.spec.clusterIps[0]?.includes(':') === true ? 'IPv6' : 'IPv4';
  const other = preferred === 'IPv6' ? 'IPv4' : 'IPv6';
  return slices.some((slice) => slice.addressType === preferred) ? preferred : other;
}

function inUse(candidates: readonly Candidate[]): readonly Candidate[] {
  const staying = candidates.filter((c) => !c.terminating);
  if (staying.some((c) => c.ready)) return staying;
  const leaving = candidates.filter((c) => c.terminating && c.ready);
  return [...staying, ...leaving];
}

function toEndpoint(candidate: Candidate, sources: EndpointSources): Endpoint {
  const { address, port, ready, zone, forZones, pod } = candidate;
  const key = pod === undefined ? null : objectKey(pod.meta);
  const workload = key === null ? undefined : sources.workloads.get(key);
  return {
    address,
    port,
    ready,
    zone,
    ...(forZones.length > 0 && { forZones }),
    workload: workload === undefined ? null : key,
    owner: workload?.owner ?? '',
    identity: workload?.meshed === true ? workload.identity : null,
  };
}
