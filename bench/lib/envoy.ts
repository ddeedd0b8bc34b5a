/**
 * Envoy as a contender: one worker, the static file that says the same as our manifests, statistics on as by default, no log.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { untilServed } from './application.ts';
import { freePort, start, type Running } from './processes.ts';
import { isOpaque, speaksHttp2, type Certificates, type Place, type RunningPath, type Scenario } from './scenario.ts';
import { needTool } from './tools.ts';

const LOCAL = '127.0.0.1';
const EXTENSIONS = 'type.googleapis.com/envoy.extensions';

interface Hop {
  readonly listen: number;
  readonly next: { readonly address: string; readonly port: number };
  /** Which side of this hop is the mutual TLS. */
  readonly tls: 'in' | 'out' | 'none';
}

function address(host: string, port: number): object {
  return { socket_address: { address: host, port_value: port } };
}

function tlsSocket(side: 'in' | 'out', { ca, cert, key }: Certificates, alpn: readonly string[]): object {
  const common = {
    tls_params: { tls_minimum_protocol_version: 'TLSv1_3', tls_maximum_protocol_version: 'TLSv1_3' },
    tls_certificates: [{ certificate_chain: { filename: cert }, private_key: { filename: key } }],
    validation_context: {
      trusted_ca: { filename: ca },
      match_typed_subject_alt_names: [{ san_type: 'DNS', matcher: { exact: 'localhost' } }],
    },
    alpn_protocols: alpn,
  };
  const type = side === 'in' ? 'DownstreamTlsContext' : 'UpstreamTlsContext';
  return {
    name: 'envoy.transport_sockets.tls',
    typed_config: {
      '@type': `${EXTENSIONS}.transport_sockets.tls.v3.${type}`,
      common_tls_context: common,
      // Each connection has a full handshake, as with the others.
      ...(side === 'in' ? { require_client_certificate: true } : { sni: 'localhost', max_session_keys: 0 }),
    },
  };
}

function httpFilter(): object {
  return {
    name: 'envoy.filters.network.http_connection_manager',
    typed_config: {
      '@type': `${EXTENSIONS}.filters.network.http_connection_manager.v3.HttpConnectionManager`,
      stat_prefix: 'in',
      route_config: {
        virtual_hosts: [
          {
            name: 'all',
            domains: ['*'],
            routes: [{ match: { prefix: '/' }, route: { cluster: 'next', timeout: '0s' } }],
          },
        ],
      },
      http_filters: [
        { name: 'envoy.filters.http.router', typed_config: { '@type': `${EXTENSIONS}.filters.http.router.v3.Router` } },
      ],
    },
  };
}

function tcpFilter(): object {
  const typed = { '@type': `${EXTENSIONS}.filters.network.tcp_proxy.v3.TcpProxy`, stat_prefix: 'in', cluster: 'next' };
  return { name: 'envoy.filters.network.tcp_proxy', typed_config: typed };
}

function configuration(scenario: Scenario, hop: Hop, certificates: Certificates): object {
  const http2 = speaksHttp2(scenario);
  const alpn = isOpaque(scenario) ? [] : [http2 ? 'h2' : 'http/1.1'];
  const tlsIn = hop.tls === 'in' && { transport_socket: tlsSocket('in', certificates, alpn) };
  const chain = { filters: [isOpaque(scenario) ? tcpFilter() : httpFilter()], ...tlsIn };
  const cluster = {
    name: 'next',
    type: 'STATIC',
    connect_timeout: '1s',
    circuit_breakers: { thresholds: [{ max_connections: 4096, max_pending_requests: 4096, max_requests: 4096 }] },
    load_assignment: {
      cluster_name: 'next',
      endpoints: [{ lb_endpoints: [{ endpoint: { address: address(hop.next.address, hop.next.port) } }] }],
    },
    ...(hop.tls === 'out' && { transport_socket: tlsSocket('out', certificates, alpn) }),
    ...(http2 && {
      typed_extension_protocol_options: {
        'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
          '@type': `${EXTENSIONS}.upstreams.http.v3.HttpProtocolOptions`,
          explicit_http_config: { http2_protocol_options: {} },
        },
      },
    }),
  };
  const listeners = [{ name: 'in', address: address(LOCAL, hop.listen), filter_chains: [chain] }];
  return { static_resources: { listeners, clusters: [cluster] } };
}

function run(folder: string, config: object): Promise<Running> {
  mkdirSync(folder, { recursive: true });
  const file = join(folder, 'envoy.json');
  writeFileSync(file, JSON.stringify(config));
  const flags = ['-c', file, '--concurrency', '1', '--disable-hot-restart', '--log-level', 'warning'];
  return start([needTool('envoy'), ...flags], join(folder, 'output.log'));
}

export async function startEnvoy(scenario: Scenario, place: Place): Promise<RunningPath> {
  const { application, certificates, folder } = place;
  const [listen, between] = [await freePort(LOCAL), await freePort(LOCAL)];
  const hops: readonly Hop[] =
    scenario.hops === 1
      ? [{ listen, next: application, tls: 'none' }]
      : [
          { listen, next: { address: LOCAL, port: between }, tls: 'out' },
          { listen: between, next: application, tls: 'in' },
        ];
  const started: Running[] = [];
  for (const [i, hop] of hops.entries()) {
    started.push(await run(join(folder, String(i)), configuration(scenario, hop, certificates)));
  }
  const target = { address: LOCAL, port: listen, host: 'localhost' };
  await untilServed(scenario, target);
  return {
    target,
    pids: started.map(({ pid }) => pid),
    stop: async () => void (await Promise.all(started.map((s) => s.stop()))),
  };
}
