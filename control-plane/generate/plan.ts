/**
 * Plans of resources by type and name: the parts of the mesh that each depends on, and what of the client counts.
 */
import { Listener } from '#api/generated/envoy/config/listener/v3/listener.ts';
import { RouteConfiguration } from '#api/generated/envoy/config/route/v3/route.ts';
import { Cluster } from '#api/generated/envoy/config/cluster/v3/cluster.ts';
import { ClusterLoadAssignment } from '#api/generated/envoy/config/endpoint/v3/endpoint.ts';
import {
  addressName,
  destinationName,
  BLACKHOLE_CLUSTER,
  INBOUND_LISTENER,
  inboundCluster,
  OUTBOUND_LISTENER,
  PASSTHROUGH_CLUSTER,
  TYPE,
  type ResourceType,
} from '#api/names.ts';
import { unknownDestinationsFor } from '../model/outbound.ts';
import { lookup, type Destination } from '../model/lookups.ts';
import { portKey, type Endpoint, type Mesh, type ServicePort, type Workload } from '../model/mesh.ts';
import { DEFAULT_ROUTE_POLICY } from '../model/policy.ts';
import { visibleRoutes } from '../model/route.ts';
import { visibleStreams } from '../model/stream-route.ts';
import { captureTable, outboundPolicyListener } from './capture.ts';
import type { Client, Plan } from './client.ts';
import {
  addressCluster,
  applicationCluster,
  blackholeCluster,
  passthroughCluster,
  serviceCluster,
} from './clusters.ts';
import { loadAssignment } from './endpoints.ts';
import { inboundListener } from './inbound.ts';
import { podListener, serviceListener } from './listeners.ts';
import { externalName, planExternal } from './plan-external.ts';
import { arrivalsOf } from './arrivals.ts';
import { plainRoute, routeTable } from './routes.ts';

type ServiceDestination = Destination & { readonly kind: 'service' };

/** Depends on nothing of the mesh. */
const CONSTANT = {};

/** Null: there is no such resource for this client. */
export function plan(mesh: Mesh, client: Client, type: ResourceType, name: string): Plan | null {
  const special = planSpecial(mesh, client, type, name);
  if (special !== undefined) return special;
  const destination = lookup(mesh, name, client.namespace);
  if (destination === null) return null;
  const full = fullName(destination);
  // Only listeners are asked for by what an application says; the rest is asked for by what a listener says.
  if (type !== TYPE.listener && name !== full) return null;
  switch (destination.kind) {
    case 'service':
      return planService(mesh, client, type, name, full, destination);
    case 'external':
      return planExternal(mesh, client, type, name, full, destination);
    case 'workload':
      return planAddress(client, type, full, destination);
  }
}

export function fullName(destination: Destination): string {
  switch (destination.kind) {
    case 'service':
      return destinationName(destination.service.host, destination.port.port);
    case 'external':
      return externalName(destination);
    case 'workload':
      return addressName(destination.address, destination.port);
  }
}

/** Resources that no destination stands behind. Undefined: `name` is none of them. */
function planSpecial(mesh: Mesh, client: Client, type: ResourceType, name: string): Plan | null | undefined {
  const workload = ownWorkload(mesh, client);
  if (type === TYPE.listener && name === INBOUND_LISTENER) {
    if (workload === undefined || client.dialect !== 'sidecar') return null;
    return planInbound(mesh, workload);
  }
  if (type === TYPE.cluster && name === PASSTHROUGH_CLUSTER) {
    return { parts: [CONSTANT], variant: name, encode: () => Cluster.encode(passthroughCluster()).finish() };
  }
  if (type === TYPE.cluster && name.startsWith(`${INBOUND_LISTENER}|`)) return planApplication(workload, name);
  if (type === TYPE.cluster && name === BLACKHOLE_CLUSTER) {
    return { parts: [CONSTANT], variant: name, encode: () => Cluster.encode(blackholeCluster()).finish() };
  }
  if (name !== OUTBOUND_LISTENER || client.dialect === 'grpc') return undefined;
  if (type === TYPE.listener) {
    const { outbound } = mesh;
    const variant = `${name} ${client.dialect} ${unknownDestinationsFor(outbound, client.namespace)}`;
    const encode = (): Uint8Array => Listener.encode(outboundPolicyListener(outbound, client)).finish();
    return { parts: [outbound], variant, encode };
  }
  if (type !== TYPE.route || client.dialect !== 'envoy') return null;
  return {
    parts: [mesh.services, mesh.externals, mesh.outbound],
    variant: `${name} ${client.namespace}`,
    encode: () => RouteConfiguration.encode(captureTable(mesh, client)).finish(),
  };
}

function planInbound(mesh: Mesh, workload: Workload): Plan {
  const arrivals = arrivalsOf(mesh, workload);
  const limits = [...arrivals.values()].map(({ rateLimit }) => rateLimit).filter((limit) => limit !== null);
  const words = [...arrivals].map(([port, { name, sampling }]) => `${port} ${name} ${sampling ?? ''}`);
  return {
    parts: [workload, ...limits],
    variant: [INBOUND_LISTENER, ...words].join(' '),
    encode: () => Listener.encode(inboundListener(workload, arrivals)).finish(),
  };
}

function ownWorkload(mesh: Mesh, { workload, serviceAccount }: Client): Workload | undefined {
  const found = workload === null ? undefined : mesh.workloads.get(workload);
  return serviceAccount === undefined || serviceAccount === found?.serviceAccount ? found : undefined;
}

function planApplication(workload: Workload | undefined, name: string): Plan | null {
  const inbound = workload?.inboundPorts.find(({ port }) => inboundCluster(port) === name);
  if (workload === undefined || inbound === undefined) return null;
  const address = workload.addresses[0] ?? '127.0.0.1';
  return {
    parts: [workload],
    variant: name,
    encode: () => Cluster.encode(applicationCluster(address, inbound.port, inbound.protocol)).finish(),
  };
}

function planService(
  mesh: Mesh,
  client: Client,
  type: ResourceType,
  asked: string,
  name: string,
  destination: ServiceDestination,
): Plan | null {
  const { service, port } = destination;
  const { dialect } = client;
  const endpoints = mesh.endpoints.get(portKey(service.namespace, service.name, port.port)) ?? [];
  switch (type) {
    case TYPE.listener:
      return planServiceListener(mesh, client, asked, name, destination);
    case TYPE.route:
      return planServiceRoutes(mesh, client, name, port);
    case TYPE.cluster: {
      const encode = (): Uint8Array => Cluster.encode(serviceCluster(name, service, port, endpoints, dialect)).finish();
      return { parts: [port, service, endpoints], variant: dialect, encode };
    }
    case TYPE.endpoints: {
      const zone = port.policy.prefersZone ? zoneOf(mesh, client) : '';
      const encode = (): Uint8Array =>
        ClusterLoadAssignment.encode(loadAssignment(name, endpoints, dialect, zone)).finish();
      return { parts: [endpoints], variant: `${name} ${dialect} ${zone}`, encode };
    }
    case TYPE.secret:
      return null;
  }
}

/** Empty: not known. */
function zoneOf(mesh: Mesh, { zone, workload }: Client): string {
  return zone ?? (workload === null ? '' : (mesh.workloads.get(workload)?.zone ?? ''));
}

/** Envoy keeps one address a listener: the others of a Service get listeners named by their address. */
function planServiceListener(
  mesh: Mesh,
  client: Client,
  asked: string,
  name: string,
  { service, port }: ServiceDestination,
): Plan {
  const { dialect, namespace } = client;
  const [first = '', ...others] = dialect === 'envoy' ? service.addresses : service.addresses.slice(0, 1);
  const other = others.find((address) => addressName(address, port.port) === asked);
  const encode = (): Uint8Array => {
    const streams = visibleStreams(port.streamRoutes, namespace);
    const view = { service, port, address: other ?? first, streams, clusterDomain: mesh.clusterDomain };
    const listener = serviceListener(name, view, dialect);
    return Listener.encode(other === undefined ? listener : { ...listener, name: asked }).finish();
  };
  const own = port.streamRoutes.some((route) => route.consumerNamespace === namespace) ? namespace : '';
  return { parts: [port, service], variant: `${dialect} ${other ?? ''} ${own}`, encode };
}

function planServiceRoutes(mesh: Mesh, client: Client, name: string, { routes, policy }: ServicePort): Plan {
  const { dialect, namespace } = client;
  const own = routes.some((route) => route.consumerNamespace === namespace) ? namespace : '';
  const { hashOn } = policy;
  const context = { clusterDomain: mesh.clusterDomain, dialect, hashOn };
  const encode = (): Uint8Array =>
    RouteConfiguration.encode(routeTable(name, visibleRoutes(routes, namespace), context)).finish();
  return { parts: [routes, hashOn], variant: `${name} ${dialect} ${own}`, encode };
}

/** One pod by its address, whatever Services it stands behind. */
function planAddress(
  client: Client,
  type: ResourceType,
  name: string,
  { workload, address, port, protocol }: Destination & { readonly kind: 'workload' },
): Plan | null {
  const { dialect } = client;
  const endpoint = endpointAt(workload, address, port);
  const made = (encode: () => Uint8Array): Plan => ({
    parts: [workload],
    variant: `${type} ${name} ${dialect}`,
    encode,
  });
  switch (type) {
    case TYPE.listener:
      return made(() => Listener.encode(podListener(name, { address, port }, protocol, dialect)).finish());
    case TYPE.route: {
      const virtualHosts = [
        { name, domains: ['*'], routes: [plainRoute(name, DEFAULT_ROUTE_POLICY)], includeRequestAttemptCount: true },
      ];
      return made(() => RouteConfiguration.encode(RouteConfiguration.fromPartial({ name, virtualHosts })).finish());
    }
    case TYPE.cluster:
      return made(() => Cluster.encode(addressCluster(name, endpoint, dialect)).finish());
    case TYPE.endpoints:
      return made(() => ClusterLoadAssignment.encode(loadAssignment(name, [endpoint], dialect)).finish());
    case TYPE.secret:
      return null;
  }
}

function endpointAt(workload: Workload, address: string, port: number): Endpoint {
  const { namespace, name, owner, zone, meshed, identity } = workload;
  const key = `${namespace}/${name}`;
  return { address, port, ready: true, zone, workload: key, owner, identity: meshed ? identity : null };
}
