/**
 * Listeners to snapshot types: what is taken, what is refused and in which words; unknown fields anywhere.
 * What the control plane makes of a mesh is tested in test/golden.
 */
import t from 'tap';
import { Listener } from '#api/generated/envoy/config/listener/v3/listener.ts';
import { RouteConfiguration } from '#api/generated/envoy/config/route/v3/route.ts';
import { HttpConnectionManager } from '#api/generated/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.ts';
import { TcpProxy } from '#api/generated/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy.ts';
import {
  DownstreamTlsContext,
  TlsParameters_TlsProtocol,
} from '#api/generated/envoy/extensions/transport_sockets/tls/v3/tls.ts';
import { ServiceRef } from '#api/generated/tulle/config/v1/config.ts';
import { EXTENSION } from '#api/names.ts';
import { decodeCluster } from '../../../proxy/config/decode/cluster.ts';
import { decodeEndpoints } from '../../../proxy/config/decode/endpoints.ts';
import { decodeListener } from '../../../proxy/config/decode/listener.ts';
import { decodeRoute } from '../../../proxy/config/decode/route.ts';
import { decodeSecret } from '../../../proxy/config/decode/secret.ts';
import { COMMON_TLS, any, bytes, filters, manager, outcome, socket, tcp, typed } from '../../support/xds-messages.ts';

t.test('an outbound listener of an undeclared port is HTTP with a fallback', async (t) => {
  const listener = bytes(Listener, {
    name: 'reviews:80',
    address: socket('10.96.0.1', 80),
    filterChains: [
      { name: 'http', filterChainMatch: { applicationProtocols: ['http/1.1', 'h2c'] }, filters: filters(manager()) },
    ],
    defaultFilterChain: { name: 'tcp', filters: filters(tcp('reviews:80')) },
    metadata: {
      typedFilterMetadata: {
        'tulle.service': any(EXTENSION.serviceRef, ServiceRef, { namespace: 'shop', name: 'reviews', port: 80 }),
        'someone.else': { typeUrl: 'type.googleapis.com/other.Thing', value: Buffer.of(1) },
      },
    },
  });
  const any_ = { destinationPort: null, transport: null, mtls: false };
  const proxy = {
    kind: 'tcp',
    name: 'tcp',
    statPrefix: 'tcp',
    clusters: [{ cluster: 'reviews:80', weight: 1 }],
    idleTimeoutMs: 3_600_000,
    connectAttempts: 1,
  };
  t.same(outcome(decodeListener(listener)), {
    name: 'reviews:80',
    direction: 'outbound',
    address: '10.96.0.1',
    port: 80,
    chains: [
      {
        name: 'http',
        ...any_,
        network: { kind: 'http', statPrefix: 'reviews', routes: 'reviews:80', fallback: proxy },
      },
      { name: 'tcp', ...any_, network: proxy },
    ],
    serverNames: [],
    service: { namespace: 'shop', name: 'reviews', port: 80 },
  });
});

t.test('chains of the inbound listener come most specific first, TLS ends only where it is said', async (t) => {
  const tls = any(EXTENSION.downstreamTls, DownstreamTlsContext, {
    requireClientCertificate: true,
    commonTlsContext: COMMON_TLS,
  });
  const inline = manager({ routeSpecifier: { $case: 'routeConfig', value: { name: 'in', virtualHosts: [] } } });
  const listener = bytes(Listener, {
    name: 'inbound',
    filterChains: [
      { name: 'rest', filters: filters(tcp('passthrough')) },
      {
        name: 'plain',
        filterChainMatch: { destinationPort: 8080, transportProtocol: 'raw_buffer' },
        filters: filters(inline),
      },
      {
        name: 'mtls',
        filterChainMatch: { destinationPort: 8080, transportProtocol: 'tls' },
        transportSocket: { name: 'tls', configType: typed(tls) },
        filters: filters(inline),
      },
    ],
  });
  const decoded = decodeListener(listener);
  t.same(
    decoded.ok && [
      decoded.value.direction,
      ...decoded.value.chains.map((c) => [c.name, c.destinationPort, c.transport, c.mtls]),
    ],
    ['inbound', ['plain', 8080, 'raw_buffer', false], ['mtls', 8080, 'tls', true], ['rest', null, null, false]],
  );
});

const tls = (...serverNames: string[]): object => ({ transportProtocol: 'tls', serverNames });
const chain = (filter: object, ...serverNames: string[]): object => ({
  filterChainMatch: { serverNames },
  filters: filters(filter as never),
});

t.test('chains by server name stand apart from those for everything else', async (t) => {
  const weighted = any(EXTENSION.tcpProxy, TcpProxy, {
    statPrefix: 'db',
    clusterSpecifier: {
      $case: 'weightedClusters',
      value: {
        clusters: [
          { name: 'a:1', weight: 9 },
          { name: 'b:1', weight: 1 },
        ],
      },
    },
    idleTimeout: { seconds: 0n, nanos: 0 },
    maxConnectAttempts: 2,
  });
  const listener = bytes(Listener, {
    name: 'db:443',
    filterChains: [
      { name: 'shop/db', filterChainMatch: tls('DB.example', '*.db.example'), filters: filters(weighted) },
      { name: 'rest', filterChainMatch: tls(), filters: filters(tcp('c:1')) },
      { name: 'raw', filterChainMatch: { transportProtocol: 'raw_buffer' }, filters: filters(tcp('d:1')) },
    ],
  });
  const decoded = decodeListener(listener);
  t.same(decoded.ok && decoded.value.serverNames.map(({ names, network }) => [names, network.name, network.clusters]), [
    [
      ['db.example', '*.db.example'],
      'shop/db',
      [
        { cluster: 'a:1', weight: 9 },
        { cluster: 'b:1', weight: 1 },
      ],
    ],
    [['*'], 'rest', [{ cluster: 'c:1', weight: 1 }]],
  ]);
  t.match(decoded.ok && decoded.value.serverNames[0]?.network, { idleTimeoutMs: 0, connectAttempts: 2 });
  t.same(decoded.ok && decoded.value.chains.map(({ name }) => name), ['raw']);
});

t.test('chains by server name that nothing could follow are refused', async (t) => {
  const none = any(EXTENSION.tcpProxy, TcpProxy, {
    statPrefix: 'x',
    clusterSpecifier: { $case: 'weightedClusters', value: { clusters: [{ name: '', weight: 0 }] } },
    maxConnectAttempts: 0,
  });
  const listener = bytes(Listener, {
    name: 'db:443',
    filterChains: [
      chain(tcp('a:1'), 'a.example', 'b.*'),
      chain(tcp('a:1'), 'c.example', 'a.example'),
      chain(manager(), 'd.example'),
      chain(none, 'e.example'),
    ],
  });
  const proxy = 'filter_chains[3].filters[0].typed_config';
  t.same(outcome(decodeListener(listener)), [
    `${proxy}.max_connect_attempts: must be at least 1`,
    `${proxy}.weighted_clusters.clusters[0].name: must not be empty`,
    `${proxy}.weighted_clusters.clusters: must hold a cluster with a weight`,
    'filter_chains[0].filter_chain_match.server_names: b.* is no server name (write db.example or *.db.example)',
    'filter_chains[1].filter_chain_match.server_names: a.example stands in an earlier chain already',
    'filter_chains[2].filters[0]: HTTP inside of TLS that is not ended here is not supported (supported: TcpProxy)',
  ]);
  const inbound = bytes(Listener, { name: 'inbound', filterChains: [chain(tcp('a:1'), 'a.example')] });
  t.same(outcome(decodeListener(inbound)), [
    'filter_chains[0].filter_chain_match.server_names: matching by server name on the inbound side is not supported (leave it out)',
  ]);
});

t.test('everything that is wrong with a listener is told at once', async (t) => {
  const weakTls = any(EXTENSION.downstreamTls, DownstreamTlsContext, {
    commonTlsContext: {
      tlsParams: { tlsMinimumProtocolVersion: TlsParameters_TlsProtocol.TLSv1_2 },
      alpnProtocols: ['spdy/3'],
      validationContextType: { $case: 'validationContext', value: {} },
    },
  });
  const listener = bytes(Listener, {
    address: socket('not-an-address', 80),
    apiListener: {},
    listenerFilters: [
      { name: 'x', configType: typed({ typeUrl: 'type.googleapis.com/a.ProxyProtocol', value: Buffer.alloc(0) }) },
    ],
    filterChains: [
      { filterChainMatch: { serverNames: ['a'], prefixRanges: [{ addressPrefix: '10.0.0.0' }] }, filters: [] },
      {
        filterChainMatch: { transportProtocol: 'quic' },
        filters: filters(manager({ statPrefix: '', httpFilters: [], codecType: 3 })),
      },
      { transportSocket: { name: 'tls', configType: typed(weakTls) }, filters: filters(tcp('')) },
    ],
  });
  t.same(outcome(decodeListener(listener)), [
    'name: must not be empty',
    'api_listener: a listener without socket is not supported (supported: filter_chains)',
    'listener_filters[0]: a.ProxyProtocol is not supported (supported: OriginalDst, TlsInspector, HttpInspector)',
    'address.socket_address.address: must be an IP address',
    'filter_chains[0].filter_chain_match.prefix_ranges: matching by address is not supported (leave it out)',
    'filter_chains[0].filters: holds 0 filters (exactly one is supported)',
    'filter_chains[1].filter_chain_match.transport_protocol: quic is not supported (supported: tls, raw_buffer)',
    'filter_chains[1].filters[0].typed_config.stat_prefix: must not be empty',
    'filter_chains[1].filters[0].typed_config.codec_type: value 3 is not supported (supported: AUTO, HTTP1)',
    'filter_chains[1].filters[0].typed_config.http_filters: must end with the router',
    'filter_chains[2].transport_socket.typed_config.require_client_certificate: TLS without client certificate is not supported (supported: true)',
    'filter_chains[2].transport_socket.typed_config.common_tls_context.tls_params.tls_minimum_protocol_version: a version other than TLSv1_3 is not supported (leave it out)',
    'filter_chains[2].transport_socket.typed_config.common_tls_context.alpn_protocols[0]: spdy/3 is not supported (supported: tulle, h2, http/1.1)',
    'filter_chains[2].transport_socket.typed_config.common_tls_context.validation_context: a fixed trust bundle is not supported (supported: SDS ROOTCA)',
    'filter_chains[2].filters[0].typed_config.cluster: must not be empty',
    'filter_chains[2].filter_chain_match: matches the same connections as an earlier chain',
  ]);
});

t.test(
  'fields that we do not know are named with their place, and bytes that are no message are refused',
  async (t) => {
    const strange = { 794: [Uint8Array.of(1, 120)] };
    const table = bytes(RouteConfiguration, { name: 'r', virtualHosts: [{ name: 'a', domains: ['*'] }] });
    const message = RouteConfiguration.decode(table);
    Object.assign(message.virtualHosts[0] ?? {}, { _unknownFields: strange });
    t.same(outcome(decodeRoute(RouteConfiguration.encode(message).finish())), [
      'virtual_hosts[0]: field 99 is not supported',
    ]);
    const hcm = HttpConnectionManager.decode(manager().value);
    Object.assign(hcm, { _unknownFields: strange });
    const config = {
      typeUrl: EXTENSION.httpConnectionManager,
      value: Buffer.from(HttpConnectionManager.encode(hcm).finish()),
    };
    t.same(outcome(decodeListener(bytes(Listener, { name: 'l', filterChains: [{ filters: filters(config) }] }))), [
      'filter_chains[0].filters[0].typed_config: field 99 is not supported',
    ]);
    const torn = [decodeListener, decodeRoute, decodeCluster, decodeEndpoints, decodeSecret].map((decode) =>
      outcome<unknown>(decode(Uint8Array.of(10, 100, 1))),
    );
    t.ok(
      torn.every(
        (lines) => Array.isArray(lines) && lines.length === 1 && String(lines[0]).startsWith('cannot be decoded'),
      ),
    );
  },
);
