/**
 * Finds what a client means by a name or an address: `reviews:8080`, `reviews.shop:8080`, `10.96.0.12:8080`, a pod's address.
 * Knows no resource; whether a client may see it is not asked here (every namespace sees every Service).
 */
import { parseDestination } from '#api/names.ts';
import { externalAt, type ExternalTarget } from './external.ts';
import type { Mesh, MeshService, ServicePort, Workload } from './mesh.ts';
import type { AppProtocol } from './protocol.ts';

export type Destination =
  | { readonly kind: 'service'; readonly service: MeshService; readonly port: ServicePort }
  /** Exactly this pod, at one of its addresses. */
  | {
      readonly kind: 'workload';
      readonly workload: Workload;
      readonly address: string;
      readonly port: number;
      readonly protocol: AppProtocol;
    }
  | ({ readonly kind: 'external' } & ExternalTarget);

/** Null: nothing of that name and port in the mesh. */
export function lookup(mesh: Mesh, name: string, clientNamespace: string): Destination | null {
  const destination = parseDestination(name);
  if (destination === null) return null;
  const host = destination.host.toLowerCase().replace(/\.$/, '');
  const { port } = destination;
  const service = serviceNamed(mesh, host, clientNamespace) ?? servicesByAddress(mesh).get(host);
  if (service !== undefined) {
    const found = service.ports.find((p) => p.port === port);
    return found === undefined ? null : { kind: 'service', service, port: found };
  }
  const workload = workloadsByAddress(mesh).get(host);
  if (workload === undefined) {
    const external = externalAt(mesh.externals, host, port);
    return external === null ? null : { kind: 'external', ...external };
  }
  const protocol = workload.inboundPorts.find((p) => p.port === port)?.protocol ?? 'unknown';
  return { kind: 'workload', workload, address: host, port, protocol };
}

/** `svc`, `svc.ns`, `svc.ns.svc`, `svc.ns.svc.<cluster domain>`: the search path that kubelet gives to pods. */
function serviceNamed(mesh: Mesh, host: string, clientNamespace: string): MeshService | undefined {
  const full = `.svc.${mesh.clusterDomain}`;
  const bare = host.endsWith(full) ? host.slice(0, -full.length) : host.replace(/\.svc$/, '');
  const [name = '', namespace, ...rest] = bare.split('.');
  if (rest.length > 0 || (namespace === undefined && bare !== host)) return undefined;
  return mesh.services.get(`${namespace ?? clientNamespace}/${name}`);
}

const addressesOfServices = new WeakMap<Mesh['services'], ReadonlyMap<string, MeshService>>();
const addressesOfWorkloads = new WeakMap<Mesh['workloads'], ReadonlyMap<string, Workload>>();

function servicesByAddress({ services }: Mesh): ReadonlyMap<string, MeshService> {
  return indexed(addressesOfServices, services);
}

function workloadsByAddress({ workloads }: Mesh): ReadonlyMap<string, Workload> {
  return indexed(addressesOfWorkloads, workloads);
}

/** Made at the first question, and again only when the map is another. The first in the map's order wins an address. */
function indexed<T extends { readonly addresses: readonly string[] }>(
  cache: WeakMap<ReadonlyMap<string, T>, ReadonlyMap<string, T>>,
  map: ReadonlyMap<string, T>,
): ReadonlyMap<string, T> {
  const known = cache.get(map);
  if (known !== undefined) return known;
  const index = new Map<string, T>();
  for (const value of map.values()) {
    for (const address of value.addresses) if (!index.has(address)) index.set(address, value);
  }
  cache.set(map, index);
  return index;
}
