/**
 * Filter chains of opaque connections: where they go by the routes that a client sees, how often another endpoint is tried, and how long they may be
 * silent. Knows no listener.
 */
import type { Filter, FilterChain } from '#api/generated/envoy/config/listener/v3/listener.ts';
import { TcpProxy } from '#api/generated/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy.ts';
import { destinationName, EXTENSION } from '#api/names.ts';
import type { StreamPolicy, StreamRoute } from '../model/stream-route.ts';
import { duration, pack } from './messages.ts';

/** A cluster that there never is: connections that are led there are refused. */
const UNRESOLVED = 'unresolved';

/** A chain for TLS of the application that asks for one of the route's names. */
export function serverNameChain(route: StreamRoute, serverNames: readonly string[], filter: Filter): FilterChain {
  const none = { prefixRanges: [], applicationProtocols: [] };
  const filterChainMatch = { ...none, serverNames: [...serverNames], transportProtocol: 'tls' };
  return { name: route.name, filters: [filter], filterChainMatch };
}

/** To the backends of a route, by weight. @param statPrefix the destination's name */
export function routeFilter(
  statPrefix: string,
  route: StreamRoute,
  policy: StreamPolicy,
  clusterDomain: string,
): Filter {
  const clusters = route.backends.map(({ namespace, service, port, weight }) => ({
    name: destinationName(`${service}.${namespace}.svc.${clusterDomain}`, port),
    weight,
  }));
  if (route.unresolvedWeight > 0) clusters.push({ name: UNRESOLVED, weight: route.unresolvedWeight });
  if (clusters.every(({ weight }) => weight === 0)) clusters.push({ name: UNRESOLVED, weight: 1 });
  const used = clusters.filter(({ weight }) => weight > 0);
  const [only, ...others] = used;
  const clusterSpecifier: TcpProxy['clusterSpecifier'] =
    only !== undefined && others.length === 0
      ? { $case: 'cluster', value: only.name }
      : { $case: 'weightedClusters', value: { clusters: used } };
  return proxyFilter(statPrefix, clusterSpecifier, policy);
}

/** Everything to one cluster. */
export function tcpFilter(cluster: string, policy: StreamPolicy): Filter {
  return proxyFilter(cluster, { $case: 'cluster', value: cluster }, policy);
}

function proxyFilter(
  statPrefix: string,
  clusterSpecifier: TcpProxy['clusterSpecifier'],
  { idleTimeoutMs, connectAttempts }: StreamPolicy,
): Filter {
  const typedConfig = pack(EXTENSION.tcpProxy, TcpProxy, {
    statPrefix,
    clusterSpecifier,
    maxConnectAttempts: connectAttempts,
    idleTimeout: duration(idleTimeoutMs),
  });
  return { name: 'envoy.filters.network.tcp_proxy', configType: { $case: 'typedConfig', value: typedConfig } };
}
