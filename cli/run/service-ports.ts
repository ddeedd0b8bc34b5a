/**
 * Loopback ports that stand for ports of Services and ExternalServices in explicit mode: 20000 to 29999, the same for every replica and from run to run,
 * so that a restarted application finds its peers where they were. Pure.
 */
import { createHash } from 'node:crypto';
import type { ExternalService } from '../../control-plane/kinds/external-service.ts';
import type { Service } from '../../control-plane/kinds/service.ts';
import { objectKey, type KubeObject } from '../../control-plane/kinds/meta.ts';
import { destinationName } from '#api/names.ts';

export const FIRST_PORT = 20_000;
const COUNT = 10_000;

export interface ServicePort {
  readonly namespace: string;
  /** Name of the Service or ExternalService. */
  readonly service: string;
  readonly portName: string;
  /** `host:port`, the destination's name in the mesh. */
  readonly destination: string;
  /** On the application address of each replica. */
  readonly listenPort: number;
}

/** A port for each TCP port of each Service and ExternalService, by hash of its name; ports over the first 10,000 get none. */
export function servicePorts(
  services: Iterable<Service>,
  clusterDomain: string,
  externals: Iterable<ExternalService> = [],
): readonly ServicePort[] {
  const taken = new Set<number>();
  const result: ServicePort[] = [];
  const sorted = [...services].toSorted(byName);
  for (const { meta, spec } of sorted) {
    if (spec.type === 'ExternalName') continue;
    for (const { name, port, protocol } of spec.ports) {
      if (protocol !== 'TCP' || taken.size >= COUNT) continue;
      const destination = destinationName(`${meta.name}.${meta.namespace}.svc.${clusterDomain}`, port);
      result.push({
        namespace: meta.namespace,
        service: meta.name,
        portName: name,
        destination,
        listenPort: freePort(destination, taken),
      });
    }
  }
  const known = new Set(sorted.map(({ meta }) => objectKey(meta)));
  for (const external of [...externals].toSorted(byName)) {
    // The variables of both would be the same.
    if (!known.has(objectKey(external.meta))) result.push(...externalPorts(external, taken));
  }
  return result;
}

/** They lead to the first host that is no wildcard, else to the first address. */
function externalPorts({ meta, spec }: ExternalService, taken: Set<number>): readonly ServicePort[] {
  const host = spec.hosts.find((name) => !name.startsWith('*.')) ?? spec.addresses.find((ip) => !ip.includes(':'));
  if (host === undefined) return [];
  return spec.ports.slice(0, Math.max(0, COUNT - taken.size)).map(({ name, number }) => {
    const destination = destinationName(host, number);
    const listenPort = freePort(destination, taken);
    return { namespace: meta.namespace, service: meta.name, portName: name, destination, listenPort };
  });
}

function byName(a: KubeObject, b: KubeObject): number {
  return compare(a.meta.namespace, b.meta.namespace) || compare(a.meta.name, b.meta.name);
}

function freePort(destination: string, taken: Set<number>): number {
  let slot = createHash('sha256').update(destination).digest().readUInt32BE(0) % COUNT;
  while (taken.has(slot)) slot = (slot + 1) % COUNT;
  taken.add(slot);
  return FIRST_PORT + slot;
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
