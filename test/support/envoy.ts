/**
 * The real Envoy as a client of a control plane of ours, by wildcard, over TLS with a token. Its one listener for captured
 * connections stands at a fixed port, so files that use it take turns. Test-only.
 */
import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { findTool } from './tools.ts';

/** Where the listener `outbound` stands (docs/wire.md). */
export const ENVOY_OUTBOUND_PORT = 15_001;
const TURN_MS = 90_000;
/** Held while Envoy runs; Envoy's own port cannot say whether one is about to start. */
const TURN_PORT = { address: '127.65.0.2', port: ENVOY_OUTBOUND_PORT };

export const envoyTool = findTool('envoy');
/** Why tests with Envoy do not run; false when they do. */
export const envoySkip = envoyTool === null && 'envoy is not there: node scripts/tools.ts fetches it';

interface ControlPlaneAddress {
  readonly xdsAddress: string;
  readonly caFile: string;
}

export type ApiType = 'DELTA_GRPC' | 'GRPC';

export interface Envoy {
  close(): Promise<void>;
}

/** Waits until no other test file runs Envoy; the turn ends with what is returned, or with the process. */
async function takeTurn(): Promise<() => void> {
  const deadline = Date.now() + TURN_MS;
  while (Date.now() < deadline) {
    const server = createServer((socket) => socket.destroy());
    const taken = await new Promise<boolean>((resolve) => {
      server.once('error', () => resolve(false));
      server.listen(TURN_PORT.port, TURN_PORT.address, () => resolve(true));
    });
    if (taken) return () => void server.close();
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`another test has run Envoy for ${TURN_MS / 1000} s`);
}

/** @param folder for its configuration and log */
export async function startEnvoy(
  folder: string,
  mesh: ControlPlaneAddress,
  token: string,
  apiType: ApiType,
): Promise<Envoy> {
  const endTurn = await takeTurn();
  const config = join(folder, 'envoy.json');
  writeFileSync(config, bootstrap(mesh, token, apiType));
  const flags = ['-c', config, '--use-dynamic-base-id', '--concurrency', '1', '--log-level', 'warning'];
  const child = spawn(envoyTool ?? '', [...flags, '--log-path', join(folder, 'envoy.log')], { stdio: 'ignore' });
  const ended = new Promise((resolve) => child.once('exit', resolve));
  return {
    close: async () => {
      child.kill('SIGKILL');
      await ended;
      endTurn();
    },
  };
}

function bootstrap(mesh: ControlPlaneAddress, token: string, apiType: ApiType): string {
  const port = Number(mesh.xdsAddress.slice(mesh.xdsAddress.lastIndexOf(':') + 1));
  const validation = { trusted_ca: { filename: mesh.caFile } };
  const tls = {
    '@type': 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext',
    sni: 'localhost',
    common_tls_context: { validation_context: validation },
  };
  const http2 = {
    '@type': 'type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions',
    explicit_http_config: { http2_protocol_options: {} },
  };
  const endpoint = { address: { socket_address: { address: '127.0.0.1', port_value: port } } };
  const ads = { ads: {}, resource_api_version: 'V3' };
  return JSON.stringify({
    node: { id: 'envoy-1', cluster: 'test' },
    dynamic_resources: {
      ads_config: {
        api_type: apiType,
        transport_api_version: 'V3',
        grpc_services: [
          {
            envoy_grpc: { cluster_name: 'tulle' },
            initial_metadata: [{ key: 'authorization', value: `Bearer ${token}` }],
          },
        ],
      },
      cds_config: ads,
      lds_config: ads,
    },
    static_resources: {
      clusters: [
        {
          name: 'tulle',
          type: 'STATIC',
          connect_timeout: '1s',
          typed_extension_protocol_options: { 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': http2 },
          transport_socket: { name: 'envoy.transport_sockets.tls', typed_config: tls },
          load_assignment: { cluster_name: 'tulle', endpoints: [{ lb_endpoints: [{ endpoint }] }] },
        },
      ],
    },
  });
}
