/**
 * The real Envoy as a client of our control plane, by wildcard, over TLS with a token, in both variants of the protocol:
 * it takes listeners, routes, clusters and endpoints without a nack and routes requests by them.
 */
import { createServer, request } from 'node:http';
import t from 'tap';
import type { ClientView } from '../../control-plane/serve/stream.ts';
import { serviceWithEndpoint, startFolderMesh } from '../support/folder-mesh.ts';
import { ENVOY_OUTBOUND_PORT, envoySkip, startEnvoy } from '../support/envoy.ts';

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

/** Body of the answer through Envoy, or the status or error when it is not 200. */
function get(host: string): Promise<string> {
  return new Promise((resolve) => {
    const options = { host: '127.0.0.1', port: ENVOY_OUTBOUND_PORT, headers: { host }, agent: false };
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

for (const apiType of ['DELTA_GRPC', 'GRPC'] as const) {
  t.test(`Envoy takes everything and routes by it, ${apiType}`, { skip: envoySkip }, async (t) => {
    const [first, second] = [await startWeb(t, 'first'), await startWeb(t, 'second')];
    const folder = t.testdir();
    const mesh = await startFolderMesh(folder, {
      'web.yaml': serviceWithEndpoint('web', 8080, 'http', first),
      'other.yaml': serviceWithEndpoint('other', 80, 'tcp', second),
    });
    t.teardown(() => mesh.close());
    const token = mesh.issueToken({ namespace: 'default', serviceAccount: 'gateway', pod: 'envoy-1' }, 600_000);
    const envoy = await startEnvoy(folder, mesh, token, apiType);
    t.teardown(() => envoy.close());
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
