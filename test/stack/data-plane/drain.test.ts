/**
 * A sidecar that ends with everything that it carries under way: HTTP/1.1, HTTP/2, a gRPC stream, a tunnel, opaque bytes. What ends before
 * the one deadline ends well, what does not is cut there, and nothing holds it up after that.
 */
import { once } from 'node:events';
import { connect as connectHttp2, type ClientHttp2Session, type ClientHttp2Stream } from 'node:http2';
import t, { type Test } from 'tap';
import { inboundCluster } from '#api/names.ts';
import type { ClusterConfig } from '../../../proxy/config/snapshot.ts';
import { GrpcAsking, statusOf } from '../../support/grpc-asking.ts';
import { CHAT, startGrpcEcho } from '../../support/grpc-echo.ts';
import { TestAuthority } from '../../support/identities.ts';
import { okResponse, openWire, rawUpstream, type RawUpstream, type Wire } from '../../support/raw-http.ts';
import { counted } from '../../support/samples.ts';
import {
  change,
  cluster,
  destination,
  endpoint,
  inboundListener,
  opaqueDestination,
  startWorker,
  type TestWorker,
} from '../../support/worker.ts';
import { until } from './rig.ts';

const POD_ADDRESS = '127.0.0.22';
const authority = new TestAuthority();
const REQUEST = 'GET /slow HTTP/1.1\r\nHost: a\r\n\r\n';
const UPGRADE = 'GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n';
const ACCEPT = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n';

interface Apps {
  /** HTTP/1.1; every request is left waiting, but upgrades are accepted. */
  readonly web: RawUpstream;
  readonly calls: Awaited<ReturnType<typeof startGrpcEcho>>;
  readonly bytes: RawUpstream;
}

function own(port: number, http2: boolean): ClusterConfig {
  return cluster(inboundCluster(port), [endpoint(port)], { discovery: 'static', http2 });
}

function echo(wire: Wire): void {
  wire.socket.on('end', () => wire.socket.end('bye'));
}

async function startServer({ web, calls, bytes }: Apps): Promise<TestWorker> {
  const server = await startWorker({
    outbound: null,
    podAddresses: [POD_ADDRESS],
    pod: { namespace: 'default', name: 'echo-1', owner: 'echo', serviceAccount: 'echo' },
  });
  server.worker.receive({ kind: 'identity', identity: authority.identity('echo') });
  const clusters = [own(web.port, false), own(calls.port, true), own(bytes.port, false)];
  const inbound = [web.port, calls.port, bytes.port].map((port) =>
    inboundListener(port, 'STRICT', port === bytes.port),
  );
  const listener = { ...inboundListener(web.port, 'STRICT'), chains: inbound.flatMap(({ chains }) => chains) };
  server.apply(
    change({
      trust: authority.trust,
      clusters: new Map(clusters.map((one) => [one.name, one])),
      listeners: new Map([['inbound', listener]]),
    }),
  );
  await until(
    () => server.messages.filter(({ kind }) => kind === 'listening').length === 3,
    'it listens on three ports',
  );
  return server;
}

async function startClient({ web, calls, bytes }: Apps): Promise<TestWorker> {
  const meshed = (name: string, port: number) =>
    cluster(name, [endpoint(port, { address: POD_ADDRESS, mtls: true, identity: authority.spiffeId('echo') })]);
  const names = ['web:80', 'calls:80', 'bytes:80'];
  const client = await startWorker(
    { explicitListens: names.map((name) => ({ name, address: '127.0.0.1', port: 0 })) },
    new Map([
      ['web:80', destination('web:80', meshed('web:80', web.port))],
      ['calls:80', destination('calls:80', meshed('calls:80', calls.port))],
      ['bytes:80', opaqueDestination('bytes:80', meshed('bytes:80', bytes.port))],
    ]),
  );
  client.worker.receive({ kind: 'identity', identity: authority.identity('client') });
  client.apply(change({ trust: authority.trust }));
  return client;
}

interface UnderWay {
  readonly apps: Apps;
  readonly client: TestWorker;
  readonly server: TestWorker;
  readonly h1: Wire;
  readonly session: ClientHttp2Session;
  readonly h2: ClientHttp2Stream;
  readonly chat: ReturnType<GrpcAsking['chat']>;
  readonly tunnel: Wire;
  readonly tcp: Wire;
}

/** One of each, all of them begun and none of them over. */
async function begin(t: Test): Promise<UnderWay> {
  const web = await rawUpstream((wire) => {
    void wire.includes('\r\n\r\n').then(
      (head) => head.includes('pgrade: echo') && (wire.write(ACCEPT), echo(wire)),
      () => undefined,
    );
  });
  const bytes = await rawUpstream((wire) => {
    wire.write('hello');
    echo(wire);
  });
  const apps = { web, bytes, calls: await startGrpcEcho('echo') };
  const server = await startServer(apps);
  const client = await startClient(apps);
  const h1 = await openWire(await client.port('web:80'));
  h1.write(REQUEST);
  const session = connectHttp2(`http://127.0.0.1:${await client.port('web:80')}`);
  session.on('error', () => undefined);
  const h2 = session.request({ ':path': '/slow' }).on('error', () => undefined);
  const asking = new GrpcAsking(await client.port('calls:80'));
  const chat = asking.chat(CHAT);
  chat.write(Buffer.from('one'));
  await once(chat, 'data');
  const tunnel = await openWire(await client.port('web:80'));
  tunnel.write(UPGRADE);
  await tunnel.includes('101 ');
  const tcp = await openWire(await client.port('bytes:80'));
  await tcp.includes('hello');
  const waiting = (): number => web.connections.filter(({ text }) => text.startsWith('GET /slow')).length;
  await until(() => waiting() === 2, 'both requests are at the application');
  t.teardown(async () => {
    for (const { socket } of [h1, tunnel, tcp]) socket.destroy();
    session.destroy();
    asking.close();
    await client.close();
    await server.close();
    for (const app of Object.values(apps)) app.close();
  });
  return { apps, client, server, h1, session, h2, chat, tunnel, tcp };
}

const isDrained = ({ messages }: TestWorker): boolean => messages.some(({ kind }) => kind === 'drained');

t.test('what ends before the deadline ends well, whatever it is, and then it is over', async (t) => {
  const u = await begin(t);
  u.server.worker.receive({ kind: 'drain', direction: 'inbound', deadlineMs: 60_000 });
  await t.rejects(openWire(u.apps.bytes.port, POD_ADDRESS), 'nothing new is taken');
  u.chat.write(Buffer.from('two'));
  const [two] = (await once(u.chat, 'data')) as [Buffer];
  t.equal(two.toString(), 'two', 'a stream goes on');
  t.notOk(isDrained(u.server));
  const answered = once(u.h2, 'response');
  for (const wire of u.apps.web.connections) if (wire.text.startsWith('GET /slow')) wire.write(okResponse('late'));
  t.match(await u.h1.includes('late'), /^HTTP\/1\.1 200/);
  const [head] = (await answered) as [Record<string, unknown>];
  t.equal(head[':status'], 200);
  const status = statusOf(u.chat);
  u.chat.end();
  t.equal((await status).code, 0);
  u.tunnel.socket.end();
  t.match(await u.tunnel.closed(), /bye$/);
  t.notOk(isDrained(u.server), 'the last one is waited for');
  u.tcp.socket.end();
  t.equal(await u.tcp.closed(), 'hellobye');
  await u.server.message(({ kind }) => kind === 'drained');
  t.equal(counted(u.server, 'tulle_tcp_connections_total', 'reason=""'), 1);
});

t.test('what is under way at the deadline is cut there, and every client hears of it', async (t) => {
  const u = await begin(t);
  const status = statusOf(u.chat);
  const answered = once(u.h2, 'response');
  const startMs = performance.now();
  u.server.worker.receive({ kind: 'drain', direction: 'inbound', deadlineMs: 300 });
  await u.server.message(({ kind }) => kind === 'drained');
  const tookMs = performance.now() - startMs;
  t.ok(tookMs >= 290 && tookMs < 2000, `over after ${Math.round(tookMs)} ms`);
  await until(() => u.tcp.hadError && u.tunnel.hadError, 'bytes and tunnel are reset');
  t.equal((await status).code, 14, 'UNAVAILABLE');
  t.match(await u.h1.includes('tulle-reason'), /^HTTP\/1\.1 503/);
  const [head] = (await answered) as [Record<string, unknown>];
  t.equal(head[':status'], 503);
  await until(
    () => counted(u.server, 'tulle_tcp_connections_total', 'reason="draining"') === 1,
    'counted as what it is',
  );
  t.equal(counted(u.client, 'tulle_tcp_connections_total', 'reason="upstream-reset"'), 1);
});
