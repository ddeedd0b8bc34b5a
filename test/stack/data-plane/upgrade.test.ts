/**
 * Upgrades: a tunnel after a matching acceptance and never before, over one hop and two, from HTTP/1.1 and HTTP/2, and how tunnels end.
 * The application is raw bytes, or a small WebSocket server under a browser's client.
 */
import { randomBytes } from 'node:crypto';
import {
  connect,
  createServer,
  type ClientHttp2Session,
  type ClientHttp2Stream,
  type IncomingHttpHeaders,
  type ServerHttp2Stream,
} from 'node:http2';
import type { AddressInfo } from 'node:net';
import t, { type Test } from 'tap';
import { inboundCluster } from '#api/names.ts';
import { renderPrometheus } from '../../../proxy/telemetry/prometheus.ts';
import { TestAuthority } from '../../support/identities.ts';
import { answering, okResponse, openWire, rawUpstream, type Wire } from '../../support/raw-http.ts';
import { webSocketApp } from '../../support/websocket-app.ts';
import {
  change,
  cluster,
  destination,
  endpoint,
  inboundListener,
  route,
  startWorker,
  type TestWorker,
} from '../../support/worker.ts';
import { NOTHING, rig, underWay, until } from './rig.ts';

const ASK = 'GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n';
const SECOND = 'GET /second HTTP/1.1\r\nHost: a\r\n\r\n';
const ACCEPT = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n';
const POD_ADDRESS = '127.0.0.4';
const UPLOAD_BYTES = 64 * 1024 * 1024;
const authority = new TestAuthority();

/** Client's sidecar, mutual TLS, server's sidecar, application. */
async function twoHops(t: Test, appPort: number): Promise<{ port: number; client: TestWorker; server: TestWorker }> {
  const server = await startWorker({
    outbound: null,
    podAddresses: [POD_ADDRESS],
    pod: { namespace: 'default', name: 'echo-1', owner: 'echo', serviceAccount: 'echo' },
  });
  server.worker.receive({ kind: 'identity', identity: authority.identity('echo') });
  const name = inboundCluster(appPort);
  server.apply(
    change({
      trust: authority.trust,
      clusters: new Map([[name, cluster(name, [endpoint(appPort)], { discovery: 'static' })]]),
      listeners: new Map([['inbound', inboundListener(appPort, 'STRICT')]]),
    }),
  );
  await server.port('inbound');
  const meshed = endpoint(appPort, { address: POD_ADDRESS, mtls: true, identity: authority.spiffeId('echo') });
  const client = await startWorker(
    { explicitListens: [{ name: 'echo:80', address: '127.0.0.1', port: 0 }] },
    new Map([['echo:80', destination('echo:80', cluster('echo:80', [meshed]))]]),
  );
  client.worker.receive({ kind: 'identity', identity: authority.identity('client') });
  client.apply(change({ trust: authority.trust }));
  t.teardown(async () => {
    await client.close();
    await server.close();
  });
  return { port: await client.port('echo:80'), client, server };
}

/** The series of one metric, without the labels that name the edge. */
function counted(worker: TestWorker, name: string): string[] {
  const lines = renderPrometheus(worker.registry).split('\n');
  return lines
    .filter((line) => line.startsWith(`${name}{`))
    .map((line) => `${/response_code="(\d+)"/.exec(line)?.[1] ?? ''} ${line.slice(line.lastIndexOf(' ') + 1)}`);
}

const tunnels = (worker: TestWorker): number =>
  counted(worker, 'tulle_tunnels').reduce((sum, line) => sum + Number(line), 0);

/** Accepts each upgrade, and says after it what it says. */
const accepting =
  (more = '') =>
  (wire: Wire): void =>
    void wire.includes('\r\n\r\n').then(() => wire.write(ACCEPT + more));

t.test(
  'bytes held before the 101 and bytes behind it pass; each side ends on its own; it is counted apart',
  async (t) => {
    const r = await rig(t, [accepting('from the server, ')]);
    const client = await r.connect();
    client.write(`${ASK}held, `);
    await client.includes('from the server, ');
    const app = r.upstreams[0]!.connections[0]!;
    t.match(client.text, /^HTTP\/1\.1 101 [^]*connection: upgrade\r\nupgrade: echo\r\n\r\nfrom the server, $/);
    t.match(await app.includes('held, '), /^GET \/chat [^]*connection: upgrade\r\nupgrade: echo\r\n\r\nheld, $/);
    t.same([tunnels(r.worker), counted(r.worker, 'tulle_requests_total')], [1, []]);
    client.socket.end('last of the client');
    await app.includes('last of the client');
    await app.closed();
    app.socket.end('last of the server');
    t.match(await client.closed(), /last of the server$/);
    await until(() => underWay(r.worker).downstream === 0, 'the connection of the client is gone');
    t.same(underWay(r.worker), NOTHING);
    t.same(
      [
        tunnels(r.worker),
        counted(r.worker, 'tulle_requests_total'),
        counted(r.worker, 'tulle_request_duration_seconds_count'),
      ],
      [0, ['101 1'], []],
    );
  },
);

t.test('refused: what was held is a request of its own (426, 401, 200), never bytes for the server', async (t) => {
  for (const status of ['426 Upgrade Required', '401 Unauthorized', '200 OK']) {
    const app = answering((_, index) =>
      index === 0 ? `HTTP/1.1 ${status}\r\nupgrade: echo\r\ncontent-length: 2\r\n\r\nno` : okResponse('second'),
    );
    const one = await rig(t, [app]);
    const raw = await rawUpstream(app);
    const two = await twoHops(t, raw.port);
    const wires = [await one.connect(), await openWire(two.port)];
    for (const client of wires) {
      client.write(ASK + SECOND);
      t.match(
        await client.includes('second'),
        new RegExp(`^HTTP/1\\.1 ${status}\r\n[^]*\r\n\r\nnoHTTP/1\\.1 200 `),
        status,
      );
    }
    for (const upstream of [one.upstreams[0]!, raw]) {
      const seen = upstream.connections.map((wire) => wire.text).join('');
      t.match(seen, /^GET \/chat [^]*GET \/second [^]*traceparent: /, 'the second was parsed and written anew');
      t.equal(seen.split('upgrade: echo').length, 2, 'and asked for nothing');
    }
    wires[1]!.socket.destroy();
    raw.close();
  }
});

t.test('a 101 to something else, without a protocol, or that nobody asked for, is 502 and the end', async (t) => {
  const cases: readonly [ask: string, answer: string][] = [
    [ASK, ACCEPT.replace('Upgrade: echo', 'Upgrade: other')],
    [ASK, 'HTTP/1.1 101 Switching Protocols\r\n\r\n'],
    [ASK, ACCEPT.replace('HTTP/1.1', 'HTTP/1.0')],
    [SECOND, ACCEPT],
  ];
  for (const [ask, answer] of cases) {
    const app = answering(() => `${answer}secret`);
    const raw = await rawUpstream(app);
    const two = await twoHops(t, raw.port);
    const one = await rig(t, [app]);
    for (const client of [await one.connect(), await openWire(two.port)]) {
      client.write(`${ask}held`);
      const got = await client.includes('upstream-protocol-error');
      t.match(got, /^HTTP\/1\.1 502 /);
      t.notMatch(got, /secret/);
      client.socket.destroy();
    }
    t.notMatch(raw.connections[0]!.text, /held/);
    raw.close();
  }
});

t.test('a side that does not read brakes the other, over two hops, and loses nothing', async (t) => {
  const raw = await rawUpstream(accepting());
  t.teardown(() => raw.close());
  const { port } = await twoHops(t, raw.port);
  const client = await openWire(port);
  client.write(ASK);
  await client.includes('101');
  const app = raw.connections[0]!.socket;
  const before = app.bytesRead;
  app.pause();
  client.socket.end(Buffer.alloc(UPLOAD_BYTES));
  // Nothing tells of a brake but that it holds: the same figure for a while.
  for (let last = -1; last !== client.socket.writableLength;) {
    last = client.socket.writableLength;
    await new Promise((resolve) => setTimeout(resolve, 150));
  }
  t.ok(
    client.socket.writableLength > UPLOAD_BYTES / 2,
    `${client.socket.writableLength} bytes still wait at the client`,
  );
  app.resume();
  await raw.connections[0]!.closed();
  t.equal(app.bytesRead - before, UPLOAD_BYTES);
  app.end();
  await client.closed();
});

/** The fields of a request that asks for `protocol`. */
const upgrade = (protocol: string, more = ''): string =>
  `Host: a\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABk\r\nUpgrade: ${protocol}\r\n${more}\r\n`;

t.test(
  'what cannot be an upgrade goes on as an ordinary request: h2c, TLS, a body, another method, HTTP/1.0',
  async (t) => {
    const r = await rig(t, [answering(() => okResponse('plain'))]);
    const asks = [
      `GET / HTTP/1.1\r\n${upgrade('h2c')}`,
      `GET / HTTP/1.1\r\n${upgrade('HTTP/2.0, TLS/1.2')}`,
      `POST / HTTP/1.1\r\n${upgrade('echo')}`,
      `GET / HTTP/1.1\r\n${upgrade('echo', 'Content-Length: 1\r\n')}x`,
      `GET / HTTP/1.0\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n`,
    ];
    for (const ask of asks) {
      const client = await r.connect();
      client.write(ask);
      await client.includes('plain');
    }
    const seen = r.upstreams[0]!.connections.map((wire) => wire.text).join('');
    t.notMatch(seen, /upgrade|http2-settings/i);
    t.equal(seen.split(' HTTP/1.1\r\n').length - 1, asks.length);
  },
);

t.test('a reset of one side is a reset of the other, over two hops', async (t) => {
  const raw = await rawUpstream(accepting());
  t.teardown(() => raw.close());
  const { port, client, server } = await twoHops(t, raw.port);
  const asked = await openWire(port);
  asked.write(ASK);
  await asked.includes('101');
  raw.connections[0]!.socket.resetAndDestroy();
  await asked.closed();
  const gone = await openWire(port);
  gone.write(ASK);
  await gone.includes('101');
  gone.socket.resetAndDestroy();
  await raw.connections[1]!.closed();
  await until(() => tunnels(client) + tunnels(server) === 0, 'no tunnel is left');
  t.ok(asked.hadError, 'the client sees no clean end');
  t.ok(raw.connections[1]!.hadError, 'nor does the server');
  t.same([underWay(client).activeRequests, underWay(server).activeRequests], [0, 0]);
});

t.test('a silent tunnel ends by the idle timeout of its route, and not by the request timeout', async (t) => {
  const routes = [route('echo:80', { timeoutMs: 60, idleTimeoutMs: 150 })];
  const r = await rig(t, [accepting()], { routes });
  const client = await r.connect();
  const startMs = performance.now();
  client.write(ASK);
  await client.includes('101');
  await client.closed();
  t.ok(performance.now() - startMs >= 145);
  t.ok(client.hadError);
  await r.upstreams[0]!.connections[0]!.closed();
  t.match(renderPrometheus(r.worker.registry), /response_code="101",[^\n]*response_flags="SI"/);
});

t.test('a tunnel outlives the drain of its sidecar until the deadline', async (t) => {
  const r = await rig(t, [accepting()]);
  const client = await r.connect();
  client.write(ASK);
  await client.includes('101');
  const app = r.upstreams[0]!.connections[0]!;
  r.worker.worker.receive({ kind: 'drain', direction: 'outbound', deadlineMs: 300 });
  client.write('still here');
  await app.includes('still here');
  await r.worker.message((message) => message.kind === 'drained');
  await Promise.all([client.closed(), app.closed()]);
  t.equal(tunnels(r.worker), 0);
});

t.test("a browser's WebSocket through two sidecars: subprotocol, 10 MiB both ways, a clean close", async (t) => {
  const app = await webSocketApp();
  t.teardown(() => app.close());
  const { port, client, server } = await twoHops(t, app.port);
  const socket = new WebSocket(`ws://127.0.0.1:${port}/chat?room=1`, ['news']);
  socket.binaryType = 'arraybuffer';
  const message = new Promise<Buffer>((resolve) => {
    socket.addEventListener('message', ({ data }) => resolve(Buffer.from(data as ArrayBuffer)));
  });
  await new Promise((resolve) => socket.addEventListener('open', resolve));
  t.same([socket.protocol, app.asked[0]?.url, tunnels(client), tunnels(server)], ['news', '/chat?room=1', 1, 1]);
  t.match(app.asked[0]?.headers['x-forwarded-client-cert'], authority.spiffeId('client'));
  const sent = randomBytes(10 * 1024 * 1024);
  socket.send(sent);
  t.ok(sent.equals(await message), 'the message comes back whole');
  const closed = new Promise<CloseEvent>((resolve) => socket.addEventListener('close', resolve));
  socket.close(1000, 'done');
  const { code, wasClean } = await closed;
  t.same([code, wasClean], [1000, true]);
  await until(() => tunnels(client) + tunnels(server) === 0, 'no tunnel is left');
  t.same([counted(client, 'tulle_requests_total'), counted(server, 'tulle_requests_total')], [['101 1'], ['101 1']]);
});

async function openSession(t: Test, port: number): Promise<ClientHttp2Session> {
  const session = connect(`http://127.0.0.1:${port}`);
  t.teardown(() => session.destroy());
  await new Promise((resolve) => session.once('remoteSettings', resolve));
  t.ok(session.remoteSettings.enableConnectProtocol, 'SETTINGS allow extended CONNECT');
  return session;
}

function ask(session: ClientHttp2Session, protocol: string, path: string): ClientHttp2Stream {
  return session.request({
    ':method': 'CONNECT',
    ':protocol': protocol,
    ':scheme': 'http',
    ':path': path,
    ':authority': 'a',
  });
}

function responseOf(stream: ClientHttp2Stream): Promise<IncomingHttpHeaders> {
  return new Promise((resolve, reject) => {
    stream.once('response', resolve);
    stream.once('error', reject);
  });
}

t.test('extended CONNECT reaches an HTTP/1.1 application; early bytes wait; plain CONNECT is refused', async (t) => {
  const app = await webSocketApp();
  t.teardown(() => app.close());
  const { port, client, server } = await twoHops(t, app.port);
  const session = await openSession(t, port);
  const stream = ask(session, 'websocket', '/h2');
  const headers = await responseOf(stream);
  t.same(
    [headers[':status'], headers['sec-websocket-accept'], app.asked[0]?.url, app.asked[0]?.method],
    [200, undefined, '/h2', 'GET'],
  );
  t.match(app.asked[0]?.headers['sec-websocket-key'], /^[\w+/]{22}==$/);
  // A masked text frame with an empty mask, then a close: the application answers and ends.
  const got: Buffer[] = [];
  stream.on('data', (chunk: Buffer) => got.push(chunk));
  stream.write(Buffer.from('81850000000068656c6c6f888000000000', 'hex'));
  await new Promise((resolve) => stream.once('end', resolve));
  t.equal(Buffer.concat(got).toString('hex'), '810568656c6c6f8800');
  stream.end();
  await until(() => tunnels(client) + tunnels(server) === 0, 'no tunnel is left');
  const refused = await responseOf(ask(session, 'h2c', '/'));
  t.same([refused[':status'], refused['tulle-reason']], [501, 'connect-not-supported']);
});

t.test('bytes of HTTP/2 before the answer are held, and dropped when it is refused', async (t) => {
  const raw = await rawUpstream((wire) => {
    void wire.includes('\r\n\r\n').then((head) => {
      const isAccepted = head.startsWith('GET /yes');
      wire.write(isAccepted ? ACCEPT : 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nno');
      if (isAccepted) void wire.closed().then(() => wire.socket.end());
    });
  });
  t.teardown(() => raw.close());
  const { port } = await twoHops(t, raw.port);
  const session = await openSession(t, port);
  const answers: unknown[] = [];
  for (const path of ['/yes', '/no']) {
    const stream = ask(session, 'echo', path);
    stream.end('early');
    const headers = await responseOf(stream);
    stream.resume();
    await new Promise((resolve) => stream.once('close', resolve));
    answers.push([path, headers[':status'], headers['tulle-status']]);
  }
  t.same(answers, [
    ['/yes', 200, undefined],
    ['/no', 501, '200'],
  ]);
  t.same(
    raw.connections.map((wire) => wire.text.slice(wire.text.indexOf('\r\n\r\n') + 4)),
    ['early', ''],
  );
});

t.test('an application that speaks HTTP/2 gets extended CONNECT, if it says that it takes it', async (t) => {
  for (const enableConnectProtocol of [true, false]) {
    const app = createServer({ settings: { enableConnectProtocol } });
    app.on('stream', (stream: ServerHttp2Stream, headers) => {
      stream.on('error', () => undefined);
      stream.respond({ ':status': 200, 'x-protocol': String(headers[':protocol']) });
      stream.pipe(stream);
    });
    await new Promise<void>((resolve) => app.listen(0, '127.0.0.1', resolve));
    const { port } = app.address() as AddressInfo;
    const r = await rig(t, [], {
      cluster: { http2: true, endpoints: { cluster: 'echo:80', endpoints: [endpoint(port)] } },
    });
    const client = await r.connect();
    client.write(
      'GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: WebSocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
    );
    if (enableConnectProtocol) {
      // The key and its answer are the example of RFC 6455 1.3.
      t.match(await client.includes('upgrade: websocket\r\n\r\n'), /^HTTP\/1\.1 101 [^]*x-protocol: websocket\r\n/);
      t.match(client.text, 'sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n');
      client.socket.end('there and back');
      t.match(await client.closed(), /there and back$/);
    } else t.match(await client.includes('takes no extended CONNECT'), /^HTTP\/1\.1 502 /);
    await until(() => underWay(r.worker).activeRequests === 0, 'nothing is under way');
    client.socket.destroy();
    await r.worker.close();
    app.close();
  }
});
