/**
 * What the resources of a host outside the mesh are made from. Knows no Service.
 */
import { Cluster } from '#api/generated/envoy/config/cluster/v3/cluster.ts';
import { Listener } from '#api/generated/envoy/config/listener/v3/listener.ts';
import { RouteConfiguration } from '#api/generated/envoy/config/route/v3/route.ts';
import { addressName, destinationName, TYPE, type ResourceType } from '#api/names.ts';
import type { ExternalTarget } from '../model/external.ts';
import type { Mesh } from '../model/mesh.ts';
import type { Client, Plan } from './client.ts';
import { externalCluster, externalListener, externalRoutes } from './externals.ts';

export function externalName({ host, address, port }: ExternalTarget): string {
  return host === '' ? addressName(address, port.port) : destinationName(host, port.port);
}

/** Null: there is no such resource. Endpoints come with the cluster, which resolves its name by itself. */
export function planExternal(
  { clusterDomain }: Pick<Mesh, 'clusterDomain'>,
  client: Client,
  type: ResourceType,
  asked: string,
  name: string,
  target: ExternalTarget,
): Plan | null {
  const { dialect } = client;
  const { port, external } = target;
  // gRPC takes TLS to a cluster only with certificate providers of its own bootstrap (gRFC A29).
  if (dialect === 'grpc' && port.tls !== null) return null;
  const made = (variant: string, encode: () => Uint8Array): Plan => ({
    parts: [port, external],
    variant: `${type} ${name} ${dialect} ${variant}`,
    encode,
  });
  switch (type) {
    case TYPE.listener: {
      const captured = port.captured.find((address) => addressName(address, port.port) === asked) ?? '';
      return made(captured, () => {
        const listener = externalListener(name, target, captured, dialect);
        // Envoy keeps one address a listener: each captured one has a listener named by it.
        const named = dialect === 'envoy' && captured !== '' ? { ...listener, name: asked } : listener;
        return Listener.encode(named).finish();
      });
    }
    case TYPE.route:
      return made('', () => RouteConfiguration.encode(externalRoutes(name, target, clusterDomain)).finish());
    case TYPE.cluster:
      return made('', () => Cluster.encode(externalCluster(name, target, dialect)).finish());
    case TYPE.endpoints:
    case TYPE.secret:
      return null;
  }
}
