/**
 * Hosts outside the mesh as resources: a listener by name or address, one route, and a cluster that resolves its name by itself.
 * Knows no Service; how a policy stands in a cluster is clusters.ts' business.
 */
import {
  Cluster,
  Cluster_DiscoveryType as Discovery,
  Cluster_DnsLookupFamily as LookupFamily,
} from '#api/generated/envoy/config/cluster/v3/cluster.ts';
import { ClusterLoadAssignment } from '#api/generated/envoy/config/endpoint/v3/endpoint.ts';
import type { Listener } from '#api/generated/envoy/config/listener/v3/listener.ts';
import { RouteConfiguration, type Route } from '#api/generated/envoy/config/route/v3/route.ts';
import { METADATA } from '#api/names.ts';
import type { ExternalTarget } from '../model/external.ts';
import type { Dialect } from './client.ts';
import { httpOptions, policyFields } from './clusters.ts';
import { hostListener } from './listeners.ts';
import { duration, serviceRef, socketAddress } from './messages.ts';
import { originationTls } from './origination.ts';
import { limitRoute } from './filters.ts';
import { plainRoute } from './routes.ts';

/** Where a name has no TTL, as in a hosts file. */
const REFRESH_MS = 30_000;
/** After a failure; it doubles up to the longest. */
const FAILURE_REFRESH_MS = 1000;
const MAX_FAILURE_REFRESH_MS = 30_000;

/** @param address the captured one; empty when there is none */
export function externalListener(name: string, target: ExternalTarget, address: string, dialect: Dialect): Listener {
  const { port } = target;
  const where = { address: address === '' ? '0.0.0.0' : address, port: port.port };
  const listener = hostListener(name, where, port.protocol, port.streamPolicy, dialect);
  listener.metadata = { filterMetadata: {}, typedFilterMetadata: { [METADATA.service]: refOf(target) } };
  return listener;
}

export function externalRoutes(name: string, target: ExternalTarget, clusterDomain: string): RouteConfiguration {
  const virtualHosts = [
    { name, domains: ['*'], routes: [externalRoute(name, target, clusterDomain)], includeRequestAttemptCount: true },
  ];
  return RouteConfiguration.fromPartial({ name, virtualHosts });
}

/** The server is asked by the name that it has, whatever the application wrote. */
export function externalRoute(name: string, target: ExternalTarget, clusterDomain: string): Route {
  const { routePolicy, policy } = target.port;
  const plain = plainRoute(name, routePolicy, clusterDomain);
  // Nobody of ours is at the other end: each caller keeps the limit for itself.
  const route = policy.rateLimit === null ? plain : limitRoute(plain, name, policy.rateLimit);
  const { action } = route;
  if (action?.$case === 'route' && target.host !== '') {
    action.value.hostRewriteSpecifier = { $case: 'hostRewriteLiteral', value: authorityOf(target) };
  }
  return route;
}

/** Without the port where the scheme says it (RFC 9110 4.2.3). */
function authorityOf({ host, port: { targetPort, tls } }: ExternalTarget): string {
  if (targetPort === (tls === null ? 80 : 443)) return host;
  return `${host}:${targetPort}`;
}

export function externalCluster(name: string, target: ExternalTarget, dialect: Dialect): Cluster {
  const { port } = target;
  const fields = policyFields(port.policy, dialect, target.host === '' ? '' : authorityOf(target), port.protocol);
  Object.assign(fields.metadata.typedFilterMetadata, { [METADATA.service]: refOf(target) });
  return Cluster.fromPartial({
    name,
    ...fields,
    ...discovery(name, target, dialect),
    typedExtensionProtocolOptions: httpOptions(port.protocol, port.policy),
    ...(port.tls !== null && { transportSocket: originationTls(port.tls, target.host, port.protocol, dialect) }),
  });
}

function discovery(
  name: string,
  { external, port, host, address }: ExternalTarget,
  dialect: Dialect,
): Partial<Cluster> {
  if (external.resolution !== 'dns') {
    const addresses = external.resolution === 'static' ? external.addresses : [address];
    return {
      clusterDiscoveryType: { $case: 'type', value: Discovery.STATIC },
      loadAssignment: assignment(name, addresses, port.targetPort),
    };
  }
  return {
    // gRPC resolves names of clusters as LOGICAL_DNS only (gRFC A37).
    clusterDiscoveryType: { $case: 'type', value: dialect === 'grpc' ? Discovery.LOGICAL_DNS : Discovery.STRICT_DNS },
    loadAssignment: assignment(name, [host], port.targetPort),
    dnsLookupFamily: LookupFamily.ALL,
    respectDnsTtl: true,
    dnsRefreshRate: duration(REFRESH_MS),
    dnsFailureRefreshRate: {
      baseInterval: duration(FAILURE_REFRESH_MS),
      maxInterval: duration(MAX_FAILURE_REFRESH_MS),
    },
  };
}

function assignment(clusterName: string, addresses: readonly string[], port: number): ClusterLoadAssignment {
  const lbEndpoints = addresses.map((address) => ({
    hostIdentifier: { $case: 'endpoint', value: { address: socketAddress(address, port) } } as const,
  }));
  return ClusterLoadAssignment.fromPartial({ clusterName, endpoints: [{ lbEndpoints }] });
}

function refOf({ external, port }: ExternalTarget): ReturnType<typeof serviceRef> {
  return serviceRef(external.namespace, external.name, port.port);
}
