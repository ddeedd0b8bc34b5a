/**
 * Clusters, endpoints and trust bundles to snapshot types: what is taken, what is refused and in which words.
 * What the control plane makes of a mesh is tested in test/golden.
 */
import t from 'tap';
import { Cluster, Cluster_DiscoveryType, Cluster_LbPolicy } from '#api/generated/envoy/config/cluster/v3/cluster.ts';
import { HealthStatus } from '#api/generated/envoy/config/core/v3/core.ts';
import { ClusterLoadAssignment } from '#api/generated/envoy/config/endpoint/v3/endpoint.ts';
import { LeastRequest } from '#api/generated/envoy/extensions/load_balancing_policies/least_request/v3/least_request.ts';
import {
  Secret,
  SubjectAltNameMatcher_SanType,
  UpstreamTlsContext,
} from '#api/generated/envoy/extensions/transport_sockets/tls/v3/tls.ts';
import type { Any } from '#api/generated/google/protobuf/any.ts';
import { PeakEwma, RetryBudget, WorkloadRef } from '#api/generated/tulle/config/v1/config.ts';
import { EXTENSION } from '#api/names.ts';
import { decodeCluster } from '../../../proxy/config/decode/cluster.ts';
import { decodeEndpoints } from '../../../proxy/config/decode/endpoints.ts';
import { decodeSecret } from '../../../proxy/config/decode/secret.ts';
import { ADS, COMMON_TLS, any, bytes, outcome, seconds, socket, typed } from '../../support/xds-messages.ts';

const upstreamTls = any(EXTENSION.upstreamTls, UpstreamTlsContext, {
  sni: 'reviews',
  commonTlsContext: {
    ...COMMON_TLS,
    validationContextType: {
      $case: 'combinedValidationContext',
      value: {
        defaultValidationContext: {
          matchTypedSubjectAltNames: [
            {
              sanType: SubjectAltNameMatcher_SanType.URI,
              matcher: { matchPattern: { $case: 'exact', value: 'spiffe://d/ns/a/sa/b' } },
            },
          ],
        },
        validationContextSdsSecretConfig: { name: 'ROOTCA', sdsConfig: ADS },
      },
    },
  },
});

const policy = (config: Any): object => ({ typedExtensionConfig: { name: 'p', typedConfig: config } });

t.test('a cluster takes the first balancer that we know and the identities of its mTLS socket', async (t) => {
  const cluster = bytes(Cluster, {
    name: 'reviews:80',
    clusterDiscoveryType: { $case: 'type', value: Cluster_DiscoveryType.EDS },
    edsClusterConfig: { edsConfig: ADS },
    lbPolicy: Cluster_LbPolicy.RING_HASH,
    loadBalancingPolicy: {
      policies: [
        policy({ typeUrl: 'type.googleapis.com/future.Policy', value: Buffer.alloc(0) }),
        policy(any(EXTENSION.peakEwma, PeakEwma, { decay: seconds(5) })),
        policy(any(EXTENSION.leastRequest, LeastRequest, {})),
      ],
    },
    transportSocketMatches: [
      { name: 'mtls', match: { tulle: 'mtls' }, transportSocket: { name: 'tls', configType: typed(upstreamTls) } },
      { name: 'plain', match: {} },
    ],
    circuitBreakers: { thresholds: [{ maxConnections: 7, retryBudget: {} }] },
    metadata: {
      typedFilterMetadata: {
        'tulle.retry_budget': any(EXTENSION.retryBudget, RetryBudget, { percent: 30, minPerSecond: 5 }),
      },
    },
  });
  t.same(outcome(decodeCluster(cluster)), {
    name: 'reviews:80',
    discovery: 'eds',
    endpoints: null,
    connectTimeoutMs: 5000,
    balancer: { kind: 'peak-ewma', defaultRttMs: 30, decayMs: 5000 },
    peerIdentities: ['spiffe://d/ns/a/sa/b'],
    limits: { connections: 7, pendingRequests: 1024, requests: 1024 },
    retryBudget: { percent: 30, minPerSecond: 5, intervalMs: 10_000 },
    http2: false,
    service: null,
  });
});

t.test('everything that is wrong with a cluster is told at once', async (t) => {
  const cluster = bytes(Cluster, {
    clusterDiscoveryType: { $case: 'type', value: Cluster_DiscoveryType.STRICT_DNS },
    connectTimeout: seconds(0),
    lbPolicy: 7 as Cluster_LbPolicy,
    outlierDetection: {},
    commonLbConfig: { healthyPanicThreshold: { value: 50 } },
    transportSocket: { name: 'tls', configType: typed(upstreamTls) },
    transportSocketMatches: [{ match: { other: 'x' } }],
    circuitBreakers: { thresholds: [{ maxRetries: 3 }, {}] },
    metadata: { typedFilterMetadata: { 'tulle.service': any(EXTENSION.retryBudget, RetryBudget, {}) } },
  });
  t.same(outcome(decodeCluster(cluster)), [
    'name: must not be empty',
    'common_lb_config.healthy_panic_threshold: a panic threshold above 0 is not supported (supported: 0)',
    'load_assignment: must name a host',
    'outlier_detection.enforcing_success_rate: ejection by deviation is not supported (supported: 0, and failure_percentage_threshold)',
    'transport_socket.typed_config.common_tls_context.alpn_protocols[0]: tulle is not supported (supported: h2, http/1.1)',
    'transport_socket.typed_config.common_tls_context.tls_certificate_sds_secret_configs: a certificate of the mesh is not supported (supported: tls_certificates)',
    'transport_socket.typed_config.common_tls_context: trust by SDS for every endpoint is not supported (supported: validation_context, or transport_socket_matches)',
    'connect_timeout: is out of bounds (from 1 to 2147483647 milliseconds)',
    'lb_policy: value 7 is not supported (supported: ROUND_ROBIN, LEAST_REQUEST, RANDOM, RING_HASH, MAGLEV)',
    'transport_socket_matches[0].match: this combination is not supported (supported: tulle: mtls with TLS, or an empty match with RawBuffer)',
    'circuit_breakers.thresholds: more than one set of thresholds is not supported (supported: one)',
    'circuit_breakers.thresholds[0]: max_retries or retry_budget alone is not supported (supported: cluster metadata tulle.retry_budget)',
    'metadata.typed_filter_metadata["tulle.service"]: tulle.config.v1.RetryBudget is not supported (supported: tulle.config.v1.ServiceRef)',
  ]);
});

const endpoint = (address: string, port: number, extra: object = {}): object => ({
  hostIdentifier: { $case: 'endpoint', value: { address: socket(address, port) } },
  ...extra,
});

t.test('endpoints keep zone, priority, health and identity; the first of two with one address counts', async (t) => {
  const assignment = bytes(ClusterLoadAssignment, {
    clusterName: 'c',
    endpoints: [
      {
        locality: { zone: 'z1' },
        lbEndpoints: [
          endpoint('10.0.0.1', 80, {
            loadBalancingWeight: 3,
            metadata: {
              filterMetadata: { 'envoy.transport_socket_match': { tulle: 'mtls' } },
              typedFilterMetadata: {
                'tulle.workload': any(EXTENSION.workloadRef, WorkloadRef, {
                  namespace: 'a',
                  pod: 'p',
                  workload: 'w',
                  identity: 'spiffe://d/ns/a/sa/b',
                }),
              },
            },
          }),
          endpoint('fd00::1', 80, { healthStatus: HealthStatus.DRAINING }),
        ],
      },
      { lbEndpoints: [endpoint('10.0.0.1', 80)] },
      { priority: 1, lbEndpoints: [endpoint('10.0.0.2', 80)] },
    ],
  });
  t.same(outcome(decodeEndpoints(assignment)), {
    cluster: 'c',
    endpoints: [
      {
        address: '10.0.0.1',
        port: 80,
        healthy: true,
        weight: 3,
        zone: 'z1',
        mtls: true,
        identity: 'spiffe://d/ns/a/sa/b',
        workload: { namespace: 'a', pod: 'p', owner: 'w' },
      },
      {
        address: 'fd00::1',
        port: 80,
        healthy: false,
        weight: 1,
        zone: 'z1',
        mtls: false,
        identity: '',
        workload: null,
      },
      {
        address: '10.0.0.2',
        port: 80,
        healthy: true,
        weight: 1,
        zone: '',
        priority: 1,
        mtls: false,
        identity: '',
        workload: null,
      },
    ],
  });
  const bad = bytes(ClusterLoadAssignment, {
    endpoints: [{ priority: 129, lbEndpoints: [endpoint('reviews', 0, { loadBalancingWeight: 0 }), {}] }],
  });
  t.same(outcome(decodeEndpoints(bad)), [
    'cluster_name: must not be empty',
    'endpoints[0].priority: must be at most 128',
    'endpoints[0].lb_endpoints[0].endpoint.address.socket_address.address: must be an IP address',
    'endpoints[0].lb_endpoints[0].endpoint.address.socket_address.port_value: must not be 0',
    'endpoints[0].lb_endpoints[0].load_balancing_weight: must be at least 1',
    'endpoints[0].lb_endpoints[1].endpoint.address: must be a socket_address',
    'endpoints[0].lb_endpoints[1].endpoint.address.socket_address.port_value: must not be 0',
  ]);
});

function secret(text: string): Buffer {
  return bytes(Secret, {
    name: 'ROOTCA',
    type: { $case: 'validationContext', value: { trustedCa: { specifier: { $case: 'inlineString', value: text } } } },
  });
}

t.test('a trust bundle must hold certificates of authorities', async (t) => {
  t.same(outcome(decodeSecret(secret(''))), ['validation_context.trusted_ca: must hold 1 to 100 PEM certificates']);
  const broken = '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----';
  t.match(outcome(decodeSecret(secret(broken))), [
    /^validation_context\.trusted_ca\.certificates\[0\]: cannot be read: /,
  ]);
  t.same(outcome(decodeSecret(bytes(Secret, { name: 'x', type: { $case: 'tlsCertificate', value: {} } }))), [
    'tls_certificate: this secret is not supported (supported: validation_context)',
  ]);
});
