/**
 * What only a client needs that takes everything by wildcard, as Envoy does: one listener for all captured connections, and
 * one route table that chooses the Service by `Host`. Knows no sidecar: those ask for one destination at a time.
 */
import { TrafficDirection } from '#api/generated/envoy/config/core/v3/core.ts';
import { Listener } from '#api/generated/envoy/config/listener/v3/listener.ts';
import { RouteConfiguration, type VirtualHost } from '#api/generated/envoy/config/route/v3/route.ts';
import { addressName, destinationName, PASSTHROUGH_CLUSTER } from '#api/names.ts';
import type { Mesh, MeshService, ServicePort } from '../model/mesh.ts';
import { visibleRoutes } from '../model/route.ts';
import { DEFAULT_STREAM_POLICY } from '../model/stream-route.ts';
import type { Client } from './client.ts';
import { connectionManager, detecting, httpFilter, originalDst } from './listeners.ts';
import { ADS, socketAddress } from './messages.ts';
import { plainRoute, routeMessages } from './routes.ts';
import { tcpFilter } from './streams.ts';

/** Name of the listener and of its route table. */
export const OUTBOUND = 'outbound';
const OUTBOUND_PORT = 15_001;

/** Connections to an address that has a listener of its own are handed to that one; the rest goes by `Host`, or where it was going. */
export function captureListener(): Listener {
  const http = connectionManager(OUTBOUND, { $case: 'rds', value: { configSource: ADS, routeConfigName: OUTBOUND } });
  const chains = detecting(httpFilter(http), tcpFilter(PASSTHROUGH_CLUSTER, DEFAULT_STREAM_POLICY));
  return Listener.fromPartial({
    name: OUTBOUND,
    address: socketAddress('127.0.0.1', OUTBOUND_PORT),
    useOriginalDst: true,
    trafficDirection: TrafficDirection.OUTBOUND,
    ...chains,
    listenerFilters: [originalDst(), ...chains.listenerFilters],
  });
}

export function captureTable(mesh: Mesh, client: Client): RouteConfiguration {
  const taken = new Set<string>();
  const services = [...mesh.services.values()].sort((a, b) => (a.host < b.host ? -1 : 1));
  const hosts = services.flatMap((service) =>
    service.ports
      .filter(({ protocol }) => protocol !== 'tcp' && protocol !== 'tls')
      .map((port) => virtualHost(mesh, client, service, port, taken)),
  );
  const rest = { name: PASSTHROUGH_CLUSTER, domains: ['*'], routes: [plainRoute(PASSTHROUGH_CLUSTER)] };
  return RouteConfiguration.fromPartial({ name: OUTBOUND, virtualHosts: [...hosts, rest] });
}

function virtualHost(
  mesh: Mesh,
  client: Client,
  service: MeshService,
  port: ServicePort,
  taken: Set<string>,
): VirtualHost {
  const context = { clusterDomain: mesh.clusterDomain, dialect: client.dialect };
  // Envoy refuses a table with the same domain twice.
  const domains = domainsOf(service, port, client).filter((domain) => !taken.has(domain) && taken.add(domain));
  const routes = routeMessages(visibleRoutes(port.routes, client.namespace), context);
  return { name: destinationName(service.host, port.port), domains, routes };
}

function domainsOf({ name, namespace, host, addresses }: MeshService, { port }: ServicePort, client: Client): string[] {
  const names = [host, `${name}.${namespace}.svc`, `${name}.${namespace}`];
  if (namespace === client.namespace) names.push(name);
  const withPort = [...names.map((n) => destinationName(n, port)), ...addresses.map((a) => addressName(a, port))];
  return port === 80 ? [...withPort, ...names, ...addresses] : withPort;
}
