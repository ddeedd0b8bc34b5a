/**
 * The composed control plane over a folder: edits, broken edits, restarts, admin views. Settings, with all their mistakes.
 */
import { request } from 'node:http';
import { readFileSync } from 'node:fs';
import t from 'tap';
import { TYPE } from '#api/names.ts';
import { Metrics } from '../../control-plane/admin/metrics.ts';
import { startAdmin } from '../../control-plane/admin/server.ts';
import { readSettings } from '../../control-plane/settings.ts';
import { DeltaStream } from '../support/ads-client.ts';
import { serviceWithEndpoint, startFolderMesh } from '../support/folder-mesh.ts';
import type { FolderMesh } from '../support/folder-mesh.ts';
import { freePort } from '../support/ports.ts';
import { until } from './policy/rig.ts';
import type { Source } from '../../control-plane/sources/source.ts';

const CART = { namespace: 'default', serviceAccount: 'cart', pod: 'cart-1' };
const NODE = { id: 'sidecar~cart-1~default', userAgentName: 'tulle' };
const WEB = 'web.default.svc.cluster.local:8080';
const FILES = {
  'web.yaml': serviceWithEndpoint('web', 8080, 'http', 9001),
  'other.yaml': serviceWithEndpoint('other', 8080, 'http', 9002),
};

function connect(mesh: FolderMesh): DeltaStream {
  const ca = readFileSync(mesh.caFile, 'utf8');
  return new DeltaStream(mesh.xdsAddress, { ca, token: mesh.issueToken(CART, 60_000) }, NODE);
}

function timeout(request: string): string {
  return `
apiVersion: tulle.dev/v1alpha1
kind: TrafficPolicy
metadata: { name: web, namespace: default }
spec:
  targetRefs: [{ group: "", kind: Service, name: web }]
  timeouts: { request: ${request} }
`;
}

/** Takes `count` responses and acks each. */
async function take(stream: DeltaStream, count: number): Promise<string[]> {
  const said: string[] = [];
  for (let i = 0; i < count; i++) {
    said.push(await stream.said());
    stream.answer();
  }
  return said;
}

function call(address: string, path: string, options: { method?: string; host?: string } = {}): Promise<string> {
  const [host, port] = address.split(':');
  const headers = { host: options.host ?? address };
  return new Promise((resolve, reject) => {
    const asked = request({ host, port, path, method: options.method ?? 'GET', headers, agent: false }, (response) => {
      let body = '';
      response.on('data', (chunk: Buffer) => (body += chunk.toString()));
      response.on('end', () => resolve(`${response.statusCode} ${body.trim()}`));
    });
    asked.on('error', reject);
    asked.end();
  });
}

t.test('an edit reaches who asked for it, and nothing else is sent', async (t) => {
  const mesh = await startFolderMesh(t.testdir(), FILES);
  t.teardown(() => mesh.close());
  const stream = connect(mesh);
  t.teardown(() => stream.close());
  for (const type of [TYPE.listener, TYPE.route, TYPE.cluster, TYPE.endpoints]) stream.subscribe(type, WEB);
  stream.subscribe(TYPE.secret, 'ROOTCA');
  const first = await take(stream, 5);
  t.same(first.toSorted(), [
    `cluster: ${WEB}`,
    `endpoints: ${WEB}`,
    `listener: ${WEB}`,
    `route: ${WEB}`,
    'secret: ROOTCA',
  ]);
  mesh.write('policy.yaml', timeout('2s'));
  t.same(await take(stream, 1), [`route: ${WEB}`]);
  mesh.write('policy.yaml', timeout('2 parsecs'));
  mesh.write('other.yaml', serviceWithEndpoint('other', 8080, 'http', 9003));
  mesh.write('web.yaml', serviceWithEndpoint('web', 8080, 'http', 9004));
  t.same(
    await take(stream, 1),
    [`endpoints: ${WEB}`],
    'the broken policy changes nothing, the other service is not ours',
  );
  t.match(mesh.warnings.join('\n'), /policy\.yaml:7:\d+: spec\.timeouts\.request/);
  stream.subscribe(TYPE.listener, 'nowhere.default:80');
  t.same(await take(stream, 1), ['listener: -nowhere.default:80']);
});

t.test('after a restart the same authority signs, and a client that comes back is told nothing', async (t) => {
  const folder = t.testdir();
  const before = await startFolderMesh(folder, FILES);
  const ca = readFileSync(before.caFile, 'utf8');
  const token = before.issueToken(CART, 60_000);
  const first = connect(before);
  first.subscribe(TYPE.cluster, WEB);
  await take(first, 1);
  const initialResourceVersions = Object.fromEntries(first.last?.resources.map((r) => [r.name, r.version]) ?? []);
  await before.close();
  t.not((await first.ended).code, 0);
  first.close();

  const after = await startFolderMesh(folder, FILES);
  t.teardown(() => after.close());
  t.equal(readFileSync(after.caFile, 'utf8'), ca);
  const second = new DeltaStream(after.xdsAddress, { ca, token }, NODE);
  t.teardown(() => second.close());
  second.ask(TYPE.cluster, { resourceNamesSubscribe: [WEB], initialResourceVersions });
  second.subscribe(TYPE.endpoints, WEB);
  t.same(await take(second, 1), [`endpoints: ${WEB}`], 'clusters would have come first');
});

t.test('admin tells health to everybody and details to this machine, and takes nothing', async (t) => {
  const mesh = await startFolderMesh(t.testdir(), FILES);
  t.teardown(() => mesh.close());
  const stream = connect(mesh);
  t.teardown(() => stream.close());
  stream.subscribe(TYPE.cluster, WEB);
  await take(stream, 1);
  const { adminAddress } = mesh;
  t.same(
    [
      await call(adminAddress, '/healthz'),
      await call(adminAddress, '/readyz'),
      (await call(adminAddress, '/readyz', { method: 'POST' })).slice(0, 3),
      (await call(adminAddress, '/debug/mesh', { host: 'rebound.example' })).slice(0, 3),
      (await call(adminAddress, '/debug/__proto__')).slice(0, 3),
      (await call(adminAddress, '/')).slice(0, 3),
    ],
    ['200 ok', '200 ready', '405', '403', '404', '404'],
  );
  const metrics = await call(adminAddress, '/metrics');
  t.match(metrics, /^tulle_control_plane_pushes_total\{type="cluster"\} 1$/m);
  t.match(metrics, /^tulle_control_plane_clients 1$/m);
  t.match(JSON.parse((await call(adminAddress, '/debug/clients')).slice(4)), [
    { id: NODE.id, workload: 'default/cart-1', dialect: 'sidecar', subscriptions: [{ held: [{ name: WEB }] }] },
  ]);
  t.match(JSON.parse((await call(adminAddress, '/debug/mesh')).slice(4)), { services: { 'default/web': {} } });
  t.same(JSON.parse((await call(adminAddress, '/debug/problems')).slice(4)), []);
});

function broken(): never {
  throw new Error('a defect');
}

t.test('a view with a defect costs its page and nothing else', async (t) => {
  const admin = await startAdmin('127.0.0.1:0', {
    notReady: () => null,
    metrics: new Metrics(broken),
    debug: { broken },
  });
  t.teardown(() => admin.close());
  t.same(
    [
      await call(admin.address, '/metrics'),
      await call(admin.address, '/debug/broken'),
      await call(admin.address, '/readyz'),
    ],
    [...Array<string>(2).fill('500 this view could not be made: Error: a defect'), '200 ready'],
  );
});

/** A source that has nothing, and whose ends the test holds. */
function heldSource() {
  const read = Promise.withResolvers<void>();
  const closed = Promise.withResolvers<void>();
  const source: Source = { start: () => read.promise, close: () => closed.promise };
  return { source, finishRead: () => read.resolve(), finishClose: () => closed.resolve() };
}

t.test('it is ready when its port takes clients: not before, and not when it ends', async (t) => {
  const adminAddress = `127.0.0.1:${await freePort()}`;
  const { source, finishRead, finishClose } = heldSource();
  const flags = { 'admin-address': [adminAddress] };
  const starting = startFolderMesh(t.testdir(), FILES, flags, [source]);
  const ready = (): Promise<string> => call(adminAddress, '/readyz').catch(() => '');
  await until(async () => (await ready()) === '503 not ready: the manifests have not all been read', 'it says why');
  finishRead();
  const mesh = await starting;
  t.equal(await ready(), '200 ready');
  const closing = mesh.close();
  t.equal(await ready(), '503 not ready: the control plane is ending');
  finishClose();
  await closing;
});

t.test('it is not ready while its port is taken by another', async (t) => {
  const other = await startFolderMesh(t.testdir(), FILES);
  t.teardown(() => other.close());
  const adminAddress = `127.0.0.1:${await freePort()}`;
  const { source, finishRead, finishClose } = heldSource();
  finishRead();
  const flags = { 'admin-address': [adminAddress], 'xds-address': [other.xdsAddress] };
  const failed = t.rejects(startFolderMesh(t.testdir({ again: {} }), FILES, flags, [source]), /EADDRINUSE|bind/);
  // It has read everything, could not bind, and waits for its source to close.
  const ready = (): Promise<string> => call(adminAddress, '/readyz').catch(() => '');
  await until(async () => (await ready()) === '503 not ready: the port of the clients is not open', 'it says why');
  finishClose();
  await failed;
});

t.test('a port that is taken is told, and nothing is left open', async (t) => {
  const mesh = await startFolderMesh(t.testdir(), FILES);
  t.teardown(() => mesh.close());
  await t.rejects(
    startFolderMesh(t.testdir({ again: {} }), FILES, { 'xds-address': [mesh.xdsAddress] }),
    /EADDRINUSE|bind/,
  );
});

t.test('settings come from flags, then from the environment, then from the table', async (t) => {
  const read = readSettings(
    { folder: ['a', 'b'], 'leaf-ttl': ['20s'] },
    { TULLE_STATE_DIR: 's', TULLE_LEAF_TTL: '1h', TULLE_SERVER_NAME: 'x.y,fd00::1', TULLE_TRUST_DOMAIN: 'td' },
  );
  t.match(read, {
    ok: true,
    value: {
      folders: ['a', 'b'],
      stateDir: 's',
      leafTtlMs: 20_000,
      serverNames: ['x.y', 'fd00::1'],
      trustDomain: 'td',
      xdsAddress: '127.0.0.1:15012',
      plaintextAddress: null,
    },
  });
});

t.test('all mistakes in settings are told together, by the name they were given', async (t) => {
  const read = readSettings(
    {
      'xds-address': ['nowhere'],
      'admin-address': ['127.0.0.1:70000'],
      'xds-plaintext-address': ['0.0.0.0:1'],
      'leaf-ttl': ['1s'],
      'default-mtls-mode': ['OFF'],
    },
    { TULLE_TRUST_DOMAIN: 'Not A Domain', TULLE_LOG_FORMAT: 'xml' },
  );
  t.same(read.ok ? [] : read.error.list.map(({ path }) => path).sort(), [
    '--admin-address',
    '--default-mtls-mode',
    '--folder',
    '--leaf-ttl',
    '--state-dir',
    '--xds-address',
    '--xds-plaintext-address',
    'TULLE_LOG_FORMAT',
    'TULLE_TRUST_DOMAIN',
  ]);
});
