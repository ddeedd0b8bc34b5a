/**
 * A sidecar with several worker threads, as a process: one sidecar to its application, its clients and those who look after it.
 */
import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import t, { type Test } from 'tap';
import type { ClusterState } from '../../proxy/worker/describe.ts';
import { serviceWithEndpoint, startFolderMesh } from '../support/folder-mesh.ts';
import { startSidecar, type SidecarProcess } from '../support/sidecar.ts';

const HOST = 'web.default:80';
const WORKERS = 2;

interface App {
  readonly port: number;
  /** Answers all that wait. */
  release(): void;
  readonly waiting: number;
}

/** Answers at once, but `/wait` when it is told. */
async function startApp(t: Test): Promise<App> {
  const waiting: http.ServerResponse[] = [];
  const server = http.createServer((request, response) => {
    if (request.url === '/wait') waiting.push(response);
    else response.end('here');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  return {
    port: (server.address() as AddressInfo).port,
    release: () => {
      for (const response of waiting.splice(0)) response.end('late');
    },
    get waiting() {
      return waiting.length;
    },
  };
}

/** On a connection of its own, so that the kernel chooses a worker for it. */
function ask(sidecar: SidecarProcess, path = '/'): Promise<string> {
  return new Promise((resolve) => {
    const options = { host: '127.0.0.1', port: sidecar.proxyPort, path, headers: { host: HOST }, agent: false };
    const request = http.get(options, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (text: string) => (body += text));
      response.on('end', () => resolve(`${response.statusCode} ${body}`));
    });
    request.on('error', (error) => resolve(error.message));
  });
}

async function page(port: number, path: string): Promise<string> {
  const response = await fetch(`http://127.0.0.1:${port}${path}`);
  return response.text();
}

async function metric(sidecar: SidecarProcess, name: string, word = ''): Promise<number> {
  const lines = (await page(sidecar.metricsPort, '/metrics')).split('\n');
  return lines
    .filter((line) => line.startsWith(name) && line.includes(word))
    .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
}

async function until(holds: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const deadline = Date.now() + 15_000;
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error(`waited in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

t.setTimeout(60_000);

t.test('two workers are one sidecar', async (t) => {
  const app = await startApp(t);
  const folder = t.testdir();
  const mesh = await startFolderMesh(folder, { 'web.yaml': serviceWithEndpoint('web', 80, 'http', app.port) });
  t.teardown(() => mesh.close());
  const sidecar = await startSidecar(folder, mesh, 'two-1', { concurrency: String(WORKERS) });
  t.teardown(() => sidecar.stop());

  await t.test('requests on many connections all arrive, and are counted as of one', async (t) => {
    const answers = await Promise.all(Array.from({ length: 60 }, () => ask(sidecar)));
    t.same(new Set(answers), new Set(['200 here']));
    t.equal(await metric(sidecar, 'tulle_requests_total', 'destination_service="web"'), 60);
    t.equal(await metric(sidecar, 'tulle_request_duration_seconds_count', 'destination_service="web"'), 60);
    t.equal(await metric(sidecar, 'tulle_workers'), WORKERS);
    t.match(await page(sidecar.adminPort, '/clusters'), /"activeRequests": 0/);
  });

  await t.test('what is under way is the sum of both', async (t) => {
    const answers = Array.from({ length: 40 }, () => ask(sidecar, '/wait'));
    await until(() => app.waiting === 40, 'all are under way');
    const clusters = JSON.parse(await page(sidecar.adminPort, '/clusters')) as ClusterState[];
    const cluster = clusters.find(({ name }) => name.startsWith('web.'));
    t.equal(cluster?.activeRequests, 40);
    t.equal(cluster?.endpoints[0]?.inFlight, 40);
    t.ok(Number(cluster?.endpoints[0]?.connections) >= 40, 'idle ones of the other worker may be among them');
    app.release();
    t.same(new Set(await Promise.all(answers)), new Set(['200 late']));
    await until(async () => (await metric(sidecar, 'tulle_downstream_connections{')) === 0, 'gauges come down again');
  });

  await t.test('a destination that one worker knows already is known to the other at once', async (t) => {
    // More connections than chance leaves with one worker; the first may have to wait for the control plane.
    t.equal(await ask(sidecar), '200 here');
    const startMs = Date.now();
    const answers = await Promise.all(Array.from({ length: 30 }, () => ask(sidecar)));
    t.same(new Set(answers), new Set(['200 here']));
    t.ok(Date.now() - startMs < 2500, 'nobody waits for an answer that does not come');
  });

  await t.test('SIGTERM ends both when what runs is over', async (t) => {
    const answers = Array.from({ length: 10 }, () => ask(sidecar, '/wait'));
    await until(() => app.waiting === 10, 'all are under way');
    const ended = sidecar.end();
    await until(
      async () => (await fetch(`http://127.0.0.1:${sidecar.metricsPort}/readyz`)).status === 503,
      'not ready',
    );
    app.release();
    t.same(new Set(await Promise.all(answers)), new Set(['200 late']));
    t.equal(await ended, 0, sidecar.log());
  });
});

/** A Service of two replicas, with health checks. */
async function startReplicas(t: Test): Promise<{
  readonly manifests: string;
  /** Connections that checks of each came on. */
  readonly checkers: Readonly<Record<string, Set<unknown>>>;
  /** Addresses of those that fail. */
  readonly failing: Set<string>;
}> {
  const checkers: Record<string, Set<unknown>> = {};
  const failing = new Set<string>();
  let port = 0;
  for (const address of ['127.0.0.121', '127.0.0.122']) {
    const checks = (checkers[address] = new Set());
    const server = http.createServer((request, response) => {
      if (request.url === '/healthz') {
        checks.add(request.socket);
        response.statusCode = failing.has(address) ? 500 : 200;
      }
      response.end(address);
    });
    server.listen(port, address);
    await once(server, 'listening');
    ({ port } = server.address() as AddressInfo);
    t.teardown(() => {
      server.closeAllConnections();
      server.close();
    });
  }
  const manifests = `${serviceWithEndpoint('web', 80, 'http', port).replace('addresses: [127.0.0.1]', 'addresses: [127.0.0.121]')}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: { name: web-2, namespace: default, labels: { kubernetes.io/service-name: web } }
addressType: IPv4
ports: [{ name: main, port: ${port} }]
endpoints: [{ addresses: [127.0.0.122], conditions: { ready: true } }]
---
apiVersion: tulle.dev/v1alpha1
kind: TrafficPolicy
metadata: { name: web, namespace: default }
spec:
  targetRefs: [{ group: '', kind: Service, name: web }]
  healthCheck: { http: { path: /healthz }, interval: 500ms, unhealthyThreshold: 1 }
`;
  return { manifests, checkers, failing };
}

t.test('one worker checks for all, and all know what it finds', async (t) => {
  const { manifests, checkers, failing } = await startReplicas(t);
  const folder = t.testdir();
  const mesh = await startFolderMesh(folder, { 'web.yaml': manifests });
  t.teardown(() => mesh.close());
  t.same(mesh.warnings, []);
  const sidecar = await startSidecar(folder, mesh, 'checks-1', { concurrency: String(WORKERS) });
  t.teardown(() => sidecar.stop());
  const seen = async (): Promise<string[]> =>
    [...new Set(await Promise.all(Array.from({ length: 40 }, () => ask(sidecar))))].sort();
  t.same(await seen(), ['200 127.0.0.121', '200 127.0.0.122']);
  failing.add('127.0.0.121');
  await until(async () => (await metric(sidecar, 'tulle_health_check_failing')) === 1, 'it fails');
  await until(async () => (await seen()).length === 1, 'both workers know it');
  for (let i = 0; i < 5; i++) t.same(await seen(), ['200 127.0.0.122']);
  const sockets = Object.values(checkers).map(({ size }) => size);
  t.same(sockets, [1, 1], 'all checks of a replica come on one connection, so from one worker');
});
