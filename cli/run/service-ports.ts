/**
 * Loopback ports that stand for Service ports in explicit mode: 20000 to 29999, the same for every replica and from run to run,
 * so that a restarted application finds its peers where they were. Pure.
 */
import { createHash } from 'node:crypto';
import type { Service } from '../../control-plane/kinds/service.ts';
import { destinationName } from '#api/names.ts';

export const FIRST_PORT = 20_000;
const COUNT = 10_000;

export interface ServicePort {
  readonly namespace: string;
  readonly service: string;
  readonly portName: string;
  /** `host:port`, the destination's name in the mesh. */
  readonly destination: string;
  /** On the application address of each replica. */
  readonly listenPort: number;
}

/** A port for each TCP port of each Service, by hash of its name; ports over the first 10,000 get none. */
export function servicePorts(services: Iterable<Service>, clusterDomain: string): readonly ServicePort[] {
  const taken = new Set<number>();
  const result: ServicePort[] = [];
  const sorted = [...services].toSorted(
    (a, b) => compare(a.meta.namespace, b.meta.namespace) || compare(a.meta.name, b.meta.name),
  );
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
  return result;
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
