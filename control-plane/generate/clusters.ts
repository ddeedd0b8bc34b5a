/**
 * Clusters: where connections of one destination go and how they are made. Endpoints come apart, for they change most.
 * Knows no route.
 */
import {
  Cluster,
  Cluster_DiscoveryType as Discovery,
  Cluster_LbPolicy as LbPolicy,
  LoadBalancingPolicy,
} from '#api/generated/envoy/config/cluster/v3/cluster.ts';
import { LeastRequest } from '#api/generated/envoy/extensions/load_balancing_policies/least_request/v3/least_request.ts';
import { Random } from '#api/generated/envoy/extensions/load_balancing_policies/random/v3/random.ts';
import { RoundRobin } from '#api/generated/envoy/extensions/load_balancing_policies/round_robin/v3/round_robin.ts';
import { HttpProtocolOptions } from '#api/generated/envoy/extensions/upstreams/http/v3/http.ts';
import type { Any } from '#api/generated/google/protobuf/any.ts';
import { PeakEwma } from '#api/generated/tulle/config/v1/config.ts';
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
import { DEFAULT_BACKEND_POLICY, type BackendPolicy, type Balancer } from '../model/policy.ts';
import { circuitBreakers, outlierDetection, outlierMetadata } from './breakers.ts';
import type { Dialect } from './client.ts';
import { ADS, duration, pack, retryBudget, serviceRef, socketAddress } from './messages.ts';
import { rawBuffer, upstreamTls } from './tls.ts';

export function serviceCluster(
  name: string,
  service: MeshService,
  port: ServicePort,
  endpoints: readonly Endpoint[],
  dialect: Dialect,
): Cluster {
  const cluster = edsCluster(name, port.policy, endpoints, service.host, dialect);
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
  return edsCluster(name, DEFAULT_BACKEND_POLICY, [endpoint], '', dialect);
}

function edsCluster(
  name: string,
  policy: BackendPolicy,
  endpoints: readonly Endpoint[],
  sni: string,
  dialect: Dialect,
): Cluster {
  const identities = [...new Set(endpoints.flatMap((endpoint) => endpoint.identity ?? []))].sort();
  return Cluster.fromPartial({
    name,
    clusterDiscoveryType: { $case: 'type', value: Discovery.EDS },
    edsClusterConfig: { edsConfig: ADS },
    ...policyFields(policy, dialect),
    transportSocketMatches:
      dialect === 'sidecar'
        ? [
            {
              name: TLS_MODE_MTLS,
              match: { [TLS_MODE_FIELD]: TLS_MODE_MTLS },
              transportSocket: upstreamTls(identities, sni),
            },
            { name: 'plain', match: {}, transportSocket: rawBuffer() },
          ]
        : [],
  });
}

/** What a backend's policy says of a cluster, wherever its endpoints come from. */
export function policyFields(policy: BackendPolicy, dialect: Dialect) {
  const outlier = outlierDetection(policy.outlier);
  return {
    connectTimeout: duration(policy.connectTimeoutMs),
    ...balancing(policy.balancer, dialect),
    commonLbConfig: { healthyPanicThreshold: { value: 0 } },
    circuitBreakers: circuitBreakers(policy),
    ...(outlier !== undefined && { outlierDetection: outlier }),
    metadata: {
      typedFilterMetadata: {
        [METADATA.retryBudget]: retryBudget(policy.retryBudget),
        ...outlierMetadata(policy.outlier),
      },
    },
  };
}

const LEAST_REQUEST: readonly [string, Any] = [
  'envoy.load_balancing_policies.least_request',
  pack(EXTENSION.leastRequest, LeastRequest, {}),
];
const ROUND_ROBIN: readonly [string, Any] = [
  'envoy.load_balancing_policies.round_robin',
  pack(EXTENSION.roundRobin, RoundRobin, {}),
];
const RANDOM: readonly [string, Any] = ['envoy.load_balancing_policies.random', pack(EXTENSION.random, Random, {})];
/** Linkerd's figures: 30 ms for an endpoint not yet measured, measurements decay within 10 s. */
const PEAK_EWMA: readonly [string, Any] = [
  'tulle.peak_ewma',
  pack(EXTENSION.peakEwma, PeakEwma, { defaultRtt: duration(30), decay: duration(10_000) }),
];

/** The first of a list that a client knows counts; `lb_policy` is for those that know no list. */
const POLICIES: Readonly<Record<Balancer, { list: readonly (readonly [string, Any])[]; lbPolicy: LbPolicy }>> = {
  'peak-ewma': { list: [PEAK_EWMA, LEAST_REQUEST, ROUND_ROBIN], lbPolicy: LbPolicy.LEAST_REQUEST },
  'least-request': { list: [LEAST_REQUEST, ROUND_ROBIN], lbPolicy: LbPolicy.LEAST_REQUEST },
  'round-robin': { list: [ROUND_ROBIN], lbPolicy: LbPolicy.ROUND_ROBIN },
  random: { list: [RANDOM, ROUND_ROBIN], lbPolicy: LbPolicy.RANDOM },
};

/** gRPC refuses a cluster whose `lb_policy` it does not know, whatever the list says (gRFC A27). */
function balancing(balancer: Balancer, dialect: Dialect): Pick<Cluster, 'lbPolicy' | 'loadBalancingPolicy'> {
  const { list, lbPolicy } = POLICIES[balancer];
  const policies = list.map(([name, typedConfig]) => ({ typedExtensionConfig: { name, typedConfig } }));
  return {
    lbPolicy: dialect === 'grpc' ? LbPolicy.ROUND_ROBIN : lbPolicy,
    loadBalancingPolicy: LoadBalancingPolicy.fromPartial({ policies }),
  };
}

/** From a sidecar to the application beside it. A sidecar may have been told another address for it by its settings. */
export function applicationCluster(address: string, port: number, protocol: AppProtocol): Cluster {
  const name = inboundCluster(port);
  return Cluster.fromPartial({
    name,
    clusterDiscoveryType: { $case: 'type', value: Discovery.STATIC },
    connectTimeout: duration(DEFAULT_BACKEND_POLICY.connectTimeoutMs),
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
