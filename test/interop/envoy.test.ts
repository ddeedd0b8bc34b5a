/**
 * The real Envoy as a client of our control plane, by wildcard, over TLS with a token, in both variants of the protocol:
 * it takes listeners, routes, clusters and endpoints without a nack and routes requests by them.
 */
import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { createServer, request } from 'node:http';
import { createServer as createSocketServer } from 'node:net';
import { join } from 'node:path';
import t from 'tap';
import type { ClientView } from '../../control-plane/serve/stream.ts';
import { serviceWithEndpoint, startFolderMesh } from '../support/folder-mesh.ts';
import { findTool } from '../support/tools.ts';

/** Where the listener `outbound` stands (docs/wire.md). */
const OUTBOUND_PORT = 15_001;
const DEADLINE_MS = 20_000;

interface Closes {
  teardown(close: () => unknown): unknown;
}

/** A web server that says its name; resolves to its port. */
function startWeb(t: Closes, name: string): Promise<number> {
  const server = createServer((_request, response) => response.end(name));
  t.teardown(() => server.close());
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve((server.address() as { port: number }).port));
  });
}

function isFree(port: number): Promise<boolean> {
  const server = createSocketServer();
  return new Promise((resolve) => {
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}

/** Body of the answer through Envoy, or the status or error when it is not 200. */
function get(host: string): Promise<string> {
  return new Promise((resolve) => {
    const options = { host: '127.0.0.1', port: OUTBOUND_PORT, headers: { host }, agent: false };
    const call = request(options, (response) => {
      let body = '';
      response.on('data', (chunk: Buffer) => (body += chunk.toString()));
      response.on('end', () => resolve(response.statusCode === 200 ? body : `status ${response.statusCode}`));
    });
    call.on('error', (error) => resolve(error.message));
    call.end();
  });
}

async function until(host: string, expected: string): Promise<string> {
  const deadline = Date.now() + DEADLINE_MS;
  let answer = '';
  while (answer !== expected && Date.now() < deadline) {
    answer = await get(host);
    if (answer !== expected) await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return answer;
}

/** Waits until the control plane says that its client holds a resource of this name acked, or none any more. */
async function untilHeld(admin: string, prefix: string, isHeld: boolean): Promise<boolean> {
  const deadline = Date.now() + DEADLINE_MS;
  while (Date.now() < deadline) {
    const response = await fetch(`http://${admin}/debug/clients`);
    const [client] = (await response.json()) as ClientView[];
    const held = client?.subscriptions.flatMap((subscription) => subscription.held) ?? [];
    const found = held.filter(({ name, acked }) => name.startsWith(prefix) && acked !== null);
    if (found.length > 0 === isHeld) return true;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return false;
}

function bootstrap(mesh: { xdsAddress: string; caFile: string }, token: string, apiType: string): string {
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

const envoy = findTool('envoy');
const isOutboundFree = await isFree(OUTBOUND_PORT);
const skip =
  envoy === null
    ? 'envoy is not there: node scripts/tools.ts fetches it'
    : !isOutboundFree && `127.0.0.1:${OUTBOUND_PORT} is taken`;

for (const apiType of ['DELTA_GRPC', 'GRPC']) {
  t.test(`Envoy takes everything and routes by it, ${apiType}`, { skip }, async (t) => {
    const [first, second] = [await startWeb(t, 'first'), await startWeb(t, 'second')];
    const folder = t.testdir();
    const mesh = await startFolderMesh(folder, {
      'web.yaml': serviceWithEndpoint('web', 8080, 'http', first),
      'other.yaml': serviceWithEndpoint('other', 80, 'tcp', second),
    });
    t.teardown(() => mesh.close());
    const token = mesh.issueToken({ namespace: 'default', serviceAccount: 'gateway', pod: 'envoy-1' }, 600_000);
    const config = join(folder, 'envoy.json');
    writeFileSync(config, bootstrap(mesh, token, apiType));
    const flags = ['-c', config, '--use-dynamic-base-id', '--concurrency', '1', '--log-level', 'warning'];
    const child = spawn(envoy ?? '', [...flags, '--log-path', join(folder, 'envoy.log')], { stdio: 'ignore' });
    const ended = new Promise((resolve) => child.once('exit', resolve));
    t.teardown(async () => {
      child.kill('SIGKILL');
      await ended;
    });
    t.equal(await until('web.default.svc.cluster.local:8080', 'first'), 'first');
    t.equal(await get('web:8080'), 'first', 'by its short name');
    mesh.write('web.yaml', serviceWithEndpoint('web', 8080, 'http', second));
    t.equal(await until('web.default.svc.cluster.local:8080', 'second'), 'second');
    mesh.write('new.yaml', serviceWithEndpoint('new', 8080, 'http', first));
    t.equal(await until('new.default:8080', 'first'), 'first', 'a Service that is new');
    t.ok(await untilHeld(mesh.adminAddress, 'new.default', true));
    mesh.write('new.yaml', '# nothing any more');
    t.ok(await untilHeld(mesh.adminAddress, 'new.default', false), 'and gone again');
    t.equal(await get('web:8080'), 'second');
    t.same(mesh.warnings, [], 'and it has refused nothing');
  });
}
