/**
 * The network that needs no privilege: every replica on loopback addresses of its own, sidecars in explicit capture.
 * Applications find Services by Kubernetes' variables or through HTTP_PROXY.
 */
import { AddressPool } from './addresses.ts';
import type { ServiceAddress } from './environment.ts';
import {
  ADMIN_PORT,
  HTTP_PROXY_PORT,
  METRICS_PORT,
  type JoinRequest,
  type Network,
  type ReplicaNetwork,
} from './network.ts';
import { servicePorts, type ServicePort } from './service-ports.ts';

export async function loopbackNetwork(clusterDomain: string, pool = new AddressPool()): Promise<Network> {
  return {
    controlPlaneAddress: await pool.controlPlane(),
    controlPlaneFlags: {},
    folderMode: 0o700,
    join: async (request) => join(request, clusterDomain, pool),
    servicesChanged: () => undefined,
    close() {
      pool.close();
      return Promise.resolve();
    },
  };
}

async function join(request: JoinRequest, clusterDomain: string, pool: AddressPool): Promise<ReplicaNetwork> {
  const addresses = await pool.take();
  const { pod } = addresses;
  // Without a sidecar nothing forwards from one address to the other: the application itself is at the pod's.
  const app = request.meshed ? addresses.app : pod;
  const ports = request.meshed ? servicePorts(request.services, clusterDomain, request.externals) : [];
  const proxy = `http://${app}:${HTTP_PROXY_PORT}`;
  return {
    podAddress: pod,
    appAddress: app,
    adminAddress: `${app}:${ADMIN_PORT}`,
    metricsAddress: `${pod}:${METRICS_PORT}`,
    sidecarFlags: {
      capture: 'explicit',
      inbound: 'none',
      'pod-address': pod,
      'app-address': app,
      'http-proxy': `${app}:${HTTP_PROXY_PORT}`,
      'admin-address': `${app}:${ADMIN_PORT}`,
      'metrics-address': `${pod}:${METRICS_PORT}`,
      'outbound-listen': ports.map(({ destination, listenPort }) => `${destination}=${app}:${listenPort}`),
    },
    appVariables: request.meshed ? proxyVariables(proxy) : {},
    services: serviceAddresses(ports, request.namespace, app),
    enter: (command) => command,
    lendToSidecar: () => undefined,
    leave() {
      pool.release(addresses);
      return Promise.resolve();
    },
  };
}

/** Understood by curl, Go, Python and, with NODE_USE_ENV_PROXY, by Node's http and fetch. */
function proxyVariables(proxy: string): Record<string, string> {
  const direct = 'localhost,127.0.0.1';
  return { HTTP_PROXY: proxy, http_proxy: proxy, NO_PROXY: direct, no_proxy: direct, NODE_USE_ENV_PROXY: '1' };
}

function serviceAddresses(
  ports: readonly ServicePort[],
  namespace: string,
  address: string,
): readonly ServiceAddress[] {
  const byService = Map.groupBy(
    ports.filter((p) => p.namespace === namespace),
    (p) => p.service,
  );
  return [...byService].map(([service, own]) => ({
    service,
    ports: own.map(({ portName, listenPort }) => ({ name: portName, address, port: listenPort })),
  }));
}
