/** `healthCheck`, from manifest to the replicas that requests go to. */
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { startFolderMesh } from '../../support/folder-mesh.ts';
import { startFolderSidecar, type FolderSidecar } from '../../support/folder-sidecar.ts';
import { startGrpcEcho } from '../../support/grpc-echo.ts';
import { replicas, type Replicas } from './replicas.ts';
import { policy, rig, SERVICE } from './rig.ts';

const ADDRESSES = [111, 112, 113].map((last) => `127.0.0.${last}`);
const [SICK = '', ...OTHERS] = ADDRESSES;
const HTTP = 'http: { path: /healthz }, interval: 500ms, timeout: 500ms, unhealthyThreshold: 2';

async function seen(r: Replicas): Promise<string[]> {
  const asked = Array.from({ length: 30 }, () => r.ask());
  return [...new Set(await Promise.all(asked))].sort();
}

/** Why each endpoint of `echo` fails, as `tulle endpoints` shows it. */
function failing({ worker }: FolderSidecar): readonly string[] {
  const cluster = worker.describe().clusters.find(({ name }) => name.startsWith('echo.'));
  return (cluster?.endpoints ?? []).map((endpoint) => endpoint.failing);
}

t.test('a replica that fails its checks gets no requests until it passes again', async (t) => {
  const r = await replicas(t, ADDRESSES, policy(SERVICE, `healthCheck: { ${HTTP} }`));
  t.same(await seen(r), ADDRESSES);
  r.health.set(SICK, 500);
  while (r.sidecar.metric('tulle_health_check_failing') === 0) await r.sidecar.settled();
  t.same(await seen(r), OTHERS);
  t.same(failing(r.sidecar), ['status 500', '', '']);
  r.health.delete(SICK);
  while (r.sidecar.metric('tulle_health_check_failing') > 0) await r.sidecar.settled();
  t.same(await seen(r), ADDRESSES);
  t.ok(r.sidecar.metric('tulle_health_checks_total', 'result="success"') > 3);
  t.ok(r.sidecar.metric('tulle_health_checks_total', 'result="failure"') >= 2);
  const { host, agent } = r.checks[0]!;
  t.same({ host, agent }, { host: 'echo.shop.svc.cluster.local', agent: 'Tulle/HC' });
});

t.test('one that does not answer fails, too', async (t) => {
  const r = await replicas(t, ADDRESSES, policy(SERVICE, `healthCheck: { ${HTTP} }`));
  await r.ask();
  r.health.set(SICK, 0);
  while (failing(r.sidecar)[0] !== 'no answer within 500 ms') await r.sidecar.settled();
  t.same(await seen(r), OTHERS);
});

t.test('other statuses and another host, where they are said', async (t) => {
  const check = 'http: { path: /healthz, statuses: [204, 301], host: "well.test:99" }, interval: 500ms';
  const r = await replicas(t, ADDRESSES, policy(SERVICE, `healthCheck: { ${check} }`));
  for (const [i, status] of [200, 204, 301].entries()) r.health.set(ADDRESSES[i]!, status);
  await r.ask();
  while (failing(r.sidecar)[0] !== 'status 200') await r.sidecar.settled();
  t.same(await seen(r), OTHERS);
  t.same([...new Set(r.checks.map(({ host }) => host))], ['well.test:99']);
});

t.test('when all fail, none is left out; with keepEndpoints already when fewer pass than that', async (t) => {
  const outlier = 'circuitBreaker: { outlier: { keepEndpoints: 2 } }';
  for (const [more, sick] of [
    ['', ADDRESSES],
    [`, ${outlier}`, ADDRESSES.slice(0, 2)],
  ] as const) {
    const r = await replicas(t, ADDRESSES, policy(SERVICE, `healthCheck: { ${HTTP} }${more}`));
    for (const address of sick) r.health.set(address, 500);
    await r.ask();
    while (r.sidecar.metric('tulle_health_check_failing') < sick.length) await r.sidecar.settled();
    t.same(await seen(r), ADDRESSES);
  }
});

t.test('checks come into force, change and end while the sidecar runs', async (t) => {
  const r = await replicas(t, ADDRESSES, '');
  t.same(await seen(r), ADDRESSES);
  t.equal(r.checks.length, 0);
  r.health.set(SICK, 500);
  r.mesh.write('policy.yaml', policy(SERVICE, `healthCheck: { ${HTTP} }`));
  while (failing(r.sidecar)[0] === '') await r.sidecar.settled();
  r.mesh.write('policy.yaml', policy(SERVICE, 'healthCheck: { tcp: {}, interval: 500ms }'));
  while (failing(r.sidecar)[0] !== '') await r.sidecar.settled();
  r.mesh.write('policy.yaml', policy(SERVICE, `healthCheck: { ${HTTP} }`));
  while (failing(r.sidecar)[0] === '') await r.sidecar.settled();
  r.mesh.write('policy.yaml', policy(SERVICE, 'timeouts: { request: 5s }'));
  while (failing(r.sidecar)[0] !== '') await r.sidecar.settled();
  t.same(await seen(r), ADDRESSES);
  const before = r.checks.length;
  await new Promise((resolve) => setTimeout(resolve, 1100));
  t.equal(r.checks.length, before, 'two intervals later nobody has been asked');
});

t.test('between sidecars checks go by mutual TLS, as the client that requests come from', async (t) => {
  const check = 'healthCheck: { http: { path: /well }, interval: 500ms }';
  const r = await rig(t, '127.0.0.114', policy(SERVICE, check));
  t.equal((await r.get('/')).status, 200);
  const checks = () => r.asked.filter(({ url }) => url === '/well');
  while (checks().length < 2) await r.web.settled();
  t.match(checks()[0]?.headers['x-forwarded-client-cert'], /URI=spiffe:\/\/cluster\.local\/ns\/shop\/sa\/web/);
  t.ok(r.echo.metric('tulle_requests_total', 'direction="inbound"', 'connection_security="mutual_tls"') >= 2);
});

/** A Service with these ports of 127.0.0.1 as its endpoints, and a sidecar that is told of it. */
async function asked(t: Test, ports: readonly number[], protocol: string, spec: string): Promise<FolderSidecar> {
  const slices = ports.map(
    (port, i) => `---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: { name: echo-${i}, namespace: shop, labels: { kubernetes.io/service-name: echo } }
addressType: IPv4
ports: [{ name: main, port: ${port} }]
endpoints: [{ addresses: [127.0.0.1], conditions: { ready: true } }]
`,
  );
  const service = `
apiVersion: v1
kind: Service
metadata: { name: echo, namespace: shop }
spec: { ports: [{ name: main, port: 80, appProtocol: ${protocol} }] }
`;
  const folder = mkdtempSync(join(tmpdir(), 'tulle-health-'));
  const manifests = [service, ...slices, '---', policy(SERVICE, spec)].join('');
  const mesh = await startFolderMesh(folder, { 'echo.yaml': manifests });
  const pod = { namespace: 'shop', name: 'web-1', owner: 'web', serviceAccount: 'web' };
  const explicitListens = [{ name: 'echo:80', address: '127.0.0.1', port: 0 }];
  t.same(mesh.warnings, []);
  const sidecar = await startFolderSidecar(mesh, pod, { explicitListens });
  t.teardown(async () => {
    await sidecar.close();
    await mesh.close();
    rmSync(folder, { recursive: true });
  });
  // Whoever calls it makes the sidecar learn of it.
  const call = connect(sidecar.port('echo:80'), '127.0.0.1');
  call.on('error', () => undefined).end('GET / HTTP/1.1\r\nhost: echo\r\n\r\n');
  while (failing(sidecar).length < ports.length) await sidecar.settled();
  return sidecar;
}

t.test('a gRPC server says by grpc.health.v1 whether it serves', async (t) => {
  const servers = [await startGrpcEcho('a'), await startGrpcEcho('b')];
  for (const server of servers) t.teardown(() => server.close());
  const [first] = servers.sort((a, b) => a.port - b.port);
  const ports = servers.map(({ port }) => port);
  const sidecar = await asked(t, ports, 'grpc', 'healthCheck: { grpc: {}, interval: 500ms, unhealthyThreshold: 1 }');
  while (sidecar.metric('tulle_health_checks_total', 'result="success"') < 4) await sidecar.settled();
  t.same(failing(sidecar), ['', '']);
  first!.health = Buffer.from([8, 2]);
  while (failing(sidecar)[0] === '') await sidecar.settled();
  t.same(failing(sidecar), ['NOT_SERVING', '']);
  first!.health = Buffer.from([8, 1]);
  while (failing(sidecar)[0] !== '') await sidecar.settled();
});

t.test('a server that does not know the service it is asked for fails, and one that speaks no gRPC', async (t) => {
  const server = await startGrpcEcho('a');
  t.teardown(() => server.close());
  const other = createServer((socket) => void socket.resume().end('what?')).listen(0, '127.0.0.1');
  await new Promise((resolve) => other.once('listening', resolve));
  t.teardown(() => void other.close());
  server.health = Buffer.from([8, 3]);
  const ports = [server.port, (other.address() as AddressInfo).port];
  const check = 'healthCheck: { grpc: { service: echo.Echo }, interval: 500ms }';
  const sidecar = await asked(t, ports, 'grpc', check);
  while (failing(sidecar).includes('')) await sidecar.settled();
  const found = failing(sidecar).toSorted();
  t.equal(found[0], 'SERVICE_UNKNOWN');
  t.match(found[1], /upstream-|reset|no answer/);
});

t.test('tcp asks for a connection and nothing more', async (t) => {
  const silent = new Set<Socket>();
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    silent.add(socket);
    socket.on('data', () => silent.delete(socket));
  });
  const listen = (port: number) => new Promise<void>((resolve) => void server.listen(port, '127.0.0.1', resolve));
  await listen(0);
  t.teardown(() => void server.close());
  const { port } = server.address() as AddressInfo;
  const sidecar = await asked(t, [port], 'tcp', 'healthCheck: { tcp: {}, interval: 500ms, unhealthyThreshold: 2 }');
  while (sidecar.metric('tulle_health_checks_total', 'result="success"') < 3) await sidecar.settled();
  t.ok(silent.size >= 3, 'only the call that made the sidecar learn of it said anything');
  await new Promise((resolve) => server.close(resolve));
  while (failing(sidecar)[0] === '') await sidecar.settled();
  t.same(failing(sidecar), ['connect-failure: ECONNREFUSED']);
  await listen(port);
  while (failing(sidecar)[0] !== '') await sidecar.settled();
});
