/**
 * `Cluster` to a cluster of a snapshot: where its endpoints come from, how to choose among them and how to connect.
 * Constraints and defaults are those of Envoy's cluster.proto.
 */
import {
  Cluster,
  Cluster_DiscoveryType as Discovery,
  type Cluster_TransportSocketMatch,
} from '#api/generated/envoy/config/cluster/v3/cluster.ts';
import { HttpProtocolOptions } from '#api/generated/envoy/extensions/upstreams/http/v3/http.ts';
import { EXTENSION } from '#api/names.ts';
import { Problems } from '#base/problems.ts';
import { err, ok, type Result } from '#base/result.ts';
import type { ClusterConfig } from '../snapshot.ts';
import { decodeBalancer } from './balancer.ts';
import { decodeLimits, decodeOutlier } from './breakers.ts';
import { decodeDns } from './dns.ts';
import { durationMs } from './duration.ts';
import { decodeAssignment } from './endpoints.ts';
import { decodeHealthCheck } from './health-check.ts';
import { readAny, readMessage, shortType } from './message.ts';
import {
  decodeKeptEndpoints,
  decodeRetryBudget,
  decodeServiceRef,
  saysMtls,
  type RetryBudgetConfig,
} from './metadata.ts';
import { decodeOrigination } from './origination.ts';
import { checkSource, decodeUpstream } from './tls.ts';
import { at, refuse } from './unsupported.ts';

/** Envoy `Cluster.connect_timeout`. */
const DEFAULT_CONNECT_TIMEOUT_MS = 5000;
const DEFAULT_RETRY_BUDGET: RetryBudgetConfig = { percent: 20, minPerSecond: 10, intervalMs: 10_000 };

const DISCOVERY: Readonly<Record<number, ClusterConfig['discovery']>> = {
  [Discovery.EDS]: 'eds',
  [Discovery.STATIC]: 'static',
  [Discovery.STRICT_DNS]: 'dns',
  [Discovery.LOGICAL_DNS]: 'dns',
  [Discovery.ORIGINAL_DST]: 'original-dst',
};

/** The cluster, or everything that is wrong with it. */
export function decodeCluster(bytes: Uint8Array): Result<ClusterConfig, Problems> {
  const problems = new Problems();
  const message = readMessage(Cluster, bytes, '', problems);
  if (message === null) return err(problems);
  if (message.name === '') problems.add('name', 'must not be empty');
  const retryBudget = decodeRetryBudget(message.metadata, '', problems);
  const discovery = decodeDiscovery(message, problems);
  refuseUnsupported(message, problems);
  const dns = discovery === 'dns' ? decodeDns(message, problems) : null;
  const perConnection = requestsPerConnection(message);
  const kept = decodeKeptEndpoints(message.metadata, '', problems);
  const outlier = decodeOutlier(message.outlierDetection, kept, problems);
  const healthCheck = decodeHealthCheck(message.healthChecks, message.name, problems);
  const tls = decodeOrigination(message.transportSocket, 'transport_socket', problems);
  const cluster: ClusterConfig = {
    name: message.name,
    discovery,
    endpoints: discovery === 'static' ? decodeStatic(message, problems) : null,
    connectTimeoutMs: durationMs(message.connectTimeout, 'connect_timeout', problems, DEFAULT_CONNECT_TIMEOUT_MS, 1),
    balancer: decodeBalancer(message, '', problems),
    peerIdentities: decodeMatches(message, problems),
    ...(dns !== null && { dns }),
    ...(tls !== null && { tls }),
    limits: {
      ...decodeLimits(message.circuitBreakers, retryBudget !== null, problems),
      ...(perConnection > 0 && { requestsPerConnection: perConnection }),
    },
    ...(outlier !== null && { outlier }),
    ...(healthCheck !== null && { healthCheck }),
    retryBudget: retryBudget ?? DEFAULT_RETRY_BUDGET,
    http2: speaksHttp2(message),
    service: decodeServiceRef(message.metadata, '', problems),
  };
  return problems.isEmpty ? ok(cluster) : err(problems);
}

function decodeDiscovery(message: Cluster, problems: Problems): ClusterConfig['discovery'] {
  const type = message.clusterDiscoveryType?.value ?? Discovery.STATIC;
  const known = DISCOVERY[type];
  if (known === undefined)
    refuse(problems, 'type', `value ${type}`, 'EDS, STATIC, STRICT_DNS, LOGICAL_DNS, ORIGINAL_DST');
  if (known === 'eds') {
    checkSource(message.edsClusterConfig?.edsConfig, 'eds_cluster_config.eds_config', problems);
    const name = message.edsClusterConfig?.serviceName ?? '';
    if (name !== '' && name !== message.name) {
      refuse(problems, 'eds_cluster_config.service_name', 'endpoints of another name', "the cluster's own name");
    }
  }
  return known ?? 'eds';
}

function decodeStatic(message: Cluster, problems: Problems): ClusterConfig['endpoints'] {
  if (message.loadAssignment === undefined) {
    problems.add('load_assignment', 'must be set for a cluster of type STATIC');
    return null;
  }
  return { cluster: message.name, endpoints: decodeAssignment(message.loadAssignment, 'load_assignment', problems) };
}

function refuseUnsupported(message: Cluster, problems: Problems): void {
  const panic = message.commonLbConfig?.healthyPanicThreshold?.value ?? 0;
  if (panic !== 0) refuse(problems, 'common_lb_config.healthy_panic_threshold', 'a panic threshold above 0', '0');
  for (const [key, any] of Object.entries(message.typedExtensionProtocolOptions)) {
    const path = `typed_extension_protocol_options["${key}"]`;
    const options = readAny(any, EXTENSION.httpProtocolOptions, HttpProtocolOptions, path, problems);
    if (options !== null) checkProtocol(options, path, problems);
    else if (any.typeUrl !== EXTENSION.httpProtocolOptions)
      refuse(problems, path, shortType(any.typeUrl), 'HttpProtocolOptions');
  }
}

function checkProtocol(options: HttpProtocolOptions, path: string, problems: Problems): void {
  const common = at(path, 'common_http_protocol_options');
  if (options.commonHttpProtocolOptions?.idleTimeout !== undefined) {
    refuse(problems, at(common, 'idle_timeout'), 'an idle timeout per cluster', 'the setting peer-idle');
  }
}

function protocolOptions(message: Cluster): readonly HttpProtocolOptions[] {
  return Object.values(message.typedExtensionProtocolOptions)
    .filter((any) => any.typeUrl === EXTENSION.httpProtocolOptions)
    .map((any) => HttpProtocolOptions.decode(any.value));
}

/** Envoy `HttpProtocolOptions.explicit_http_config.http2_protocol_options`. */
function speaksHttp2(message: Cluster): boolean {
  return protocolOptions(message).some(
    ({ upstreamProtocolOptions }) => upstreamProtocolOptions?.value.protocolConfig?.$case === 'http2ProtocolOptions',
  );
}

/** Envoy `HttpProtocolOptions.common_http_protocol_options.max_requests_per_connection`; 0: no limit. */
function requestsPerConnection(message: Cluster): number {
  const [options] = protocolOptions(message);
  return options?.commonHttpProtocolOptions?.maxRequestsPerConnection ?? 0;
}

/** SPIFFE IDs that mTLS endpoints may prove. Endpoints say by themselves which of the sockets is theirs. */
function decodeMatches(message: Cluster, problems: Problems): readonly string[] {
  return message.transportSocketMatches.flatMap((match, i) =>
    decodeSocketMatch(match, `transport_socket_matches[${i}]`, problems),
  );
}

function decodeSocketMatch(match: Cluster_TransportSocketMatch, path: string, problems: Problems): readonly string[] {
  const transport = decodeUpstream(match.transportSocket, at(path, 'transport_socket'), problems);
  const keys = Object.keys(match.match ?? {});
  if (keys.length === 0 ? transport.mtls : !transport.mtls || keys.length > 1 || !saysMtls(match.match)) {
    refuse(problems, at(path, 'match'), 'this combination', 'tulle: mtls with TLS, or an empty match with RawBuffer');
  }
  return transport.peerIdentities;
}
