/**
 * What holds for all outbound connections: a listener that says it, and for a client that takes everything by wildcard, as Envoy does,
 * one route table that chooses by `Host`. Sidecars ask for one destination at a time.
 */
import { TrafficDirection } from '#api/generated/envoy/config/core/v3/core.ts';
import { Listener } from '#api/generated/envoy/config/listener/v3/listener.ts';
import { RouteConfiguration, VirtualHost } from '#api/generated/envoy/config/route/v3/route.ts';
import { OutboundPolicy as OutboundMessage } from '#api/generated/tulle/config/v1/config.ts';
import {
  addressName,
  BLACKHOLE_CLUSTER,
  destinationName,
  EXTENSION,
  METADATA,
  OUTBOUND_LISTENER as OUTBOUND,
  PASSTHROUGH_CLUSTER,
} from '#api/names.ts';
import type { MeshExternal } from '../model/external.ts';
import type { Mesh, MeshService, ServicePort } from '../model/mesh.ts';
import { unknownDestinationsFor, type OutboundPolicy } from '../model/outbound.ts';
import { visibleRoutes } from '../model/route.ts';
import { DEFAULT_STREAM_POLICY } from '../model/stream-route.ts';
import type { Client } from './client.ts';
import { externalRoute } from './externals.ts';
import { chain, connectionManager, detecting, httpFilter, originalDst } from './listeners.ts';
import { ADS, pack, socketAddress } from './messages.ts';
import { plainRoute, refusal, routeMessages } from './routes.ts';
import { tcpFilter } from './streams.ts';

const OUTBOUND_PORT = 15_001;

/** A sidecar needs only to be told; it opens no port for it. */
export function outboundPolicyListener(policy: OutboundPolicy, { namespace, dialect }: Client): Listener {
  const isRefused = unknownDestinationsFor(policy, namespace) === 'refuse';
  const unknown = isRefused ? BLACKHOLE_CLUSTER : PASSTHROUGH_CLUSTER;
  const listener = dialect === 'envoy' ? captureListener(unknown) : policyListener(unknown);
  const message = { refuseUnknown: isRefused, namedPorts: [...policy.namedPorts] };
  const typedFilterMetadata = { [METADATA.outbound]: pack(EXTENSION.outboundPolicy, OutboundMessage, message) };
  return { ...listener, metadata: { filterMetadata: {}, typedFilterMetadata } };
}

function policyListener(unknown: string): Listener {
  return Listener.fromPartial({
    name: OUTBOUND,
    address: socketAddress('127.0.0.1', OUTBOUND_PORT),
    bindToPort: false,
    trafficDirection: TrafficDirection.OUTBOUND,
    filterChains: [chain('tcp', tcpFilter(unknown, DEFAULT_STREAM_POLICY))],
  });
}

/** Connections to an address that has a listener of its own are handed to that one; the rest goes by `Host`, or where it was going. */
function captureListener(unknown: string): Listener {
  const http = connectionManager(OUTBOUND, { $case: 'rds', value: { configSource: ADS, routeConfigName: OUTBOUND } });
  const chains = detecting(httpFilter(http), tcpFilter(unknown, DEFAULT_STREAM_POLICY));
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
      .filter(({ protocol }) => mayCarryHttp(protocol))
      .map((port) => virtualHost(mesh, client, service, port, taken)),
  );
  const externals = [...mesh.externals.values()].flatMap((external) => externalHosts(mesh, external, taken));
  const isRefused = unknownDestinationsFor(mesh.outbound, client.namespace) === 'refuse';
  const routes = isRefused
    ? [refusal(502, 'the mesh does not know this destination')]
    : [plainRoute(PASSTHROUGH_CLUSTER)];
  const rest = { name: isRefused ? BLACKHOLE_CLUSTER : PASSTHROUGH_CLUSTER, domains: ['*'], routes };
  return RouteConfiguration.fromPartial({ name: OUTBOUND, virtualHosts: [...hosts, ...externals, rest] });
}

/** Hosts below a `*.` are left out: Envoy can resolve only names that it knows. */
function externalHosts({ clusterDomain }: Mesh, external: MeshExternal, taken: Set<string>): VirtualHost[] {
  return external.ports
    .filter(({ protocol }) => mayCarryHttp(protocol))
    .flatMap((port) =>
      port.hosts
        .filter((host) => !host.startsWith('*.'))
        .flatMap((host) => {
          const name = destinationName(host, port.port);
          const domains = [name, ...(port.port === 80 ? [host] : [])].filter((d) => !taken.has(d) && taken.add(d));
          const routes = [externalRoute(name, { external, port, host, address: '' }, clusterDomain)];
          return domains.length === 0
            ? []
            : [VirtualHost.fromPartial({ name, domains, routes, includeRequestAttemptCount: true })];
        }),
    );
}

function mayCarryHttp(protocol: ServicePort['protocol']): boolean {
  return protocol !== 'tcp' && protocol !== 'tls';
}

function virtualHost(
  mesh: Mesh,
  client: Client,
  service: MeshService,
  port: ServicePort,
  taken: Set<string>,
): VirtualHost {
  const context = { clusterDomain: mesh.clusterDomain, dialect: client.dialect, hashOn: port.policy.hashOn };
  // Envoy refuses a table with the same domain twice.
  const domains = domainsOf(service, port, client).filter((domain) => !taken.has(domain) && taken.add(domain));
  const routes = routeMessages(visibleRoutes(port.routes, client.namespace), context);
  return VirtualHost.fromPartial({
    name: destinationName(service.host, port.port),
    domains,
    routes,
    includeRequestAttemptCount: true,
  });
}

function domainsOf({ name, namespace, host, addresses }: MeshService, { port }: ServicePort, client: Client): string[] {
  const names = [host, `${name}.${namespace}.svc`, `${name}.${namespace}`];
  if (namespace === client.namespace) names.push(name);
  const withPort = [...names.map((n) => destinationName(n, port)), ...addresses.map((a) => addressName(a, port))];
  return port === 80 ? [...withPort, ...names, ...addresses] : withPort;
}
