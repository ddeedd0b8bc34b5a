/**
 * Clusters: where connections of one destination go and how they are made. Endpoints come apart, for they change most.
 * Knows no route.
 */
import {
  Cluster,
  Cluster_DiscoveryType as Discovery,
  Cluster_LbPolicy as LbPolicy,
} from '#api/generated/envoy/config/cluster/v3/cluster.ts';
import { HttpProtocolOptions } from '#api/generated/envoy/extensions/upstreams/http/v3/http.ts';
import {
  BLACKHOLE_CLUSTER,
  EXTENSION,
  inboundCluster,
  METADATA,
  PASSTHROUGH_CLUSTER,
  TLS_MODE_FIELD,
  TLS_MODE_MTLS,
} from '#api/names.ts';
import type { Endpoint, MeshService, ServicePort } from '../model/mesh.ts';
import type { AppProtocol } from '../model/protocol.ts';
import { DEFAULT_BACKEND_POLICY, type BackendPolicy } from '../model/policy.ts';
import { balancing, hashMetadata } from './balancers.ts';
import { circuitBreakers, outlierDetection, outlierMetadata } from './breakers.ts';
import type { Dialect } from './client.ts';
import { healthChecks } from './health-checks.ts';
import { ADS, duration, pack, retryBudget, serviceRef, socketAddress } from './messages.ts';
import { rawBuffer, upstreamTls } from './tls.ts';

/**
 * Of a sidecar to its application, as Envoy's default: there is no other endpoint to try, and what does not fit into its accept queue is
 * tried again by TCP after a second, and then again.
 */
const APPLICATION_CONNECT_TIMEOUT_MS = 5000;

export function serviceCluster(
  name: string,
  service: MeshService,
  port: ServicePort,
  endpoints: readonly Endpoint[],
  dialect: Dialect,
): Cluster {
  const cluster = edsCluster(name, port.policy, endpoints, service.host, dialect, port.protocol);
  const metadata = { [METADATA.service]: serviceRef(service.namespace, service.name, port.port) };
  Object.assign(cluster.metadata?.typedFilterMetadata ?? {}, metadata);
  return { ...cluster, typedExtensionProtocolOptions: httpOptions(port.protocol, port.policy) };
}

/** HTTP/2 is spoken only to ports that declare it: nothing else says that a server understands it without being asked. */
export function httpOptions(
  protocol: AppProtocol,
  { limits }: Pick<BackendPolicy, 'limits'> = DEFAULT_BACKEND_POLICY,
): Cluster['typedExtensionProtocolOptions'] {
  const isHttp2 = protocol === 'http2' || protocol === 'grpc';
  const { requestsPerConnection } = limits;
  if (!isHttp2 && requestsPerConnection === 0) return {};
  const options = HttpProtocolOptions.fromPartial({
    ...(requestsPerConnection > 0 && {
      commonHttpProtocolOptions: { maxRequestsPerConnection: requestsPerConnection },
    }),
    upstreamProtocolOptions: {
      $case: 'explicitHttpConfig',
      value: {
        protocolConfig: isHttp2
          ? { $case: 'http2ProtocolOptions', value: {} }
          : { $case: 'httpProtocolOptions', value: {} },
      },
    },
  });
  const packed = pack(EXTENSION.httpProtocolOptions, HttpProtocolOptions, options);
  return { 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': packed };
}

/** To exactly one pod, at one of its addresses. */
export function addressCluster(name: string, endpoint: Endpoint, dialect: Dialect): Cluster {
  return edsCluster(name, DEFAULT_BACKEND_POLICY, [endpoint], '', dialect, 'unknown');
}

function edsCluster(
  name: string,
  policy: BackendPolicy,
  endpoints: readonly Endpoint[],
  host: string,
  dialect: Dialect,
  protocol: AppProtocol,
): Cluster {
  const identities = [...new Set(endpoints.flatMap((endpoint) => endpoint.identity ?? []))].sort();
  return Cluster.fromPartial({
    name,
    clusterDiscoveryType: { $case: 'type', value: Discovery.EDS },
    edsClusterConfig: { edsConfig: ADS },
    ...policyFields(policy, dialect, host, protocol),
    transportSocketMatches:
      dialect === 'sidecar'
        ? [
            {
              name: TLS_MODE_MTLS,
              match: { [TLS_MODE_FIELD]: TLS_MODE_MTLS },
              transportSocket: upstreamTls(identities, host),
            },
            { name: 'plain', match: {}, transportSocket: rawBuffer() },
          ]
        : [],
  });
}

/** What a backend's policy says of a cluster, wherever its endpoints come from. @param host that health checks ask for */
export function policyFields(policy: BackendPolicy, dialect: Dialect, host: string, protocol: AppProtocol) {
  const outlier = outlierDetection(policy.outlier);
  return {
    connectTimeout: duration(policy.connectTimeoutMs),
    ...balancing(policy, dialect),
    commonLbConfig: { healthyPanicThreshold: { value: 0 } },
    circuitBreakers: circuitBreakers(policy),
    healthChecks: healthChecks(policy, host, protocol),
    ...(outlier !== undefined && { outlierDetection: outlier }),
    metadata: {
      typedFilterMetadata: {
        [METADATA.retryBudget]: retryBudget(policy.retryBudget),
        ...outlierMetadata(policy.outlier),
        ...hashMetadata(policy.hashOn),
      },
    },
  };
}

/** From a sidecar to the application beside it. A sidecar may have been told another address for it by its settings. */
export function applicationCluster(address: string, port: number, protocol: AppProtocol): Cluster {
  const name = inboundCluster(port);
  return Cluster.fromPartial({
    name,
    clusterDiscoveryType: { $case: 'type', value: Discovery.STATIC },
    connectTimeout: duration(APPLICATION_CONNECT_TIMEOUT_MS),
    lbPolicy: LbPolicy.ROUND_ROBIN,
    typedExtensionProtocolOptions: httpOptions(protocol),
    loadAssignment: {
      clusterName: name,
      endpoints: [
        { lbEndpoints: [{ hostIdentifier: { $case: 'endpoint', value: { address: socketAddress(address, port) } } }] },
      ],
    },
  });
}

/** To nobody: what leads here is refused. */
export function blackholeCluster(): Cluster {
  return Cluster.fromPartial({
    name: BLACKHOLE_CLUSTER,
    clusterDiscoveryType: { $case: 'type', value: Discovery.STATIC },
    connectTimeout: duration(DEFAULT_BACKEND_POLICY.connectTimeoutMs),
    lbPolicy: LbPolicy.ROUND_ROBIN,
    loadAssignment: { clusterName: BLACKHOLE_CLUSTER },
  });
}

/** To the address that was captured. */
export function passthroughCluster(): Cluster {
  return Cluster.fromPartial({
    name: PASSTHROUGH_CLUSTER,
    clusterDiscoveryType: { $case: 'type', value: Discovery.ORIGINAL_DST },
    connectTimeout: duration(DEFAULT_BACKEND_POLICY.connectTimeoutMs),
    lbPolicy: LbPolicy.CLUSTER_PROVIDED,
  });
}
