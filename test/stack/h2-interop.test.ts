/**
 * Other people's HTTP/2 through our server and our client: node:http2 on both sides, curl, h2load, h2spec. A program that is not here is a skip.
 */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  connect,
  constants,
  createServer,
  type ClientHttp2Stream,
  type Http2Server,
  type OutgoingHttpHeaders,
} from 'node:http2';
import { createServer as createPlain, type AddressInfo, type Server } from 'node:net';
import { createServer as createTls } from 'node:tls';
import { promisify } from 'node:util';
import t from 'tap';
import { systemClock } from '../../base/clock.ts';
import { TimerWheel } from '../../base/timer-wheel.ts';
import { DEFAULT_H2_SERVER_TUNING, H2Server, type H2ServerOptions } from '../../proxy/downstream/h2-server.ts';
import { DEFAULT_PATIENCE } from '../../proxy/downstream/patience.ts';
import { DEFAULT_LIMITS } from '../../proxy/http/message.ts';
import { Seen, whenWhole } from '../support/h2-answering.ts';
import { askingClient, type AskingClient } from '../support/h2-asking.ts';
import { Relay } from '../support/h2-relay.ts';
import { TestAuthority } from '../support/identities.ts';
import { answering, okResponse } from '../support/raw-http.ts';
import { findTool } from '../support/tools.ts';
import { workerMesh } from '../support/worker-mesh.ts';

const run = promisify(execFile);

type OnRequest = H2ServerOptions['onRequest'];

function h2Server(onRequest: OnRequest): (socket: ConstructorParameters<typeof H2Server>[0]) => void {
  const wheel = new TimerWheel(systemClock);
  return (socket) =>
    void new H2Server(socket, {
      clock: systemClock,
      wheel,
      limits: DEFAULT_LIMITS,
      headTimeoutMs: 10_000,
      idleTimeoutMs: 60_000,
      tuning: DEFAULT_H2_SERVER_TUNING,
      onRequest,
      patience: DEFAULT_PATIENCE,
      onStalled: () => undefined,
      onRefused: () => undefined,
      onAbuse: () => undefined,
      onClose: () => undefined,
    });
}

const hello: OnRequest = (stream, head) => {
  const seen = new Seen(stream, head);
  whenWhole(seen);
  return seen;
};

async function listen(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}

/** node:http2 -> our server -> our client -> node:http2. */
async function chain(
  onStream: Parameters<Http2Server['on']>[1],
): Promise<{ origin: string; ours: AskingClient; close: () => void }> {
  const app = createServer();
  app.on('stream', onStream);
  await new Promise<void>((resolve) => app.listen(0, '127.0.0.1', resolve));
  const ours = await askingClient((app.address() as AddressInfo).port);
  const front = createPlain(
    { noDelay: true },
    h2Server((stream, head) => new Relay(stream, head, ours.client)),
  );
  const port = await listen(front);
  const close = (): void => {
    front.close();
    app.close();
    ours.client.destroy();
  };
  return { origin: `http://127.0.0.1:${port}`, ours, close };
}

interface Answer {
  readonly status: unknown;
  readonly body: Buffer;
  readonly trailers: unknown;
  readonly interim: unknown[];
  /** RST_STREAM; 0: a clean end. */
  readonly code: number | undefined;
}

function answerOf(stream: ClientHttp2Stream): Promise<Answer> {
  return new Promise((resolve) => {
    const pieces: Buffer[] = [];
    const interim: unknown[] = [];
    let status: unknown;
    let trailers: unknown = null;
    stream.on('headers', (fields) => interim.push(fields[':status']));
    stream.on('response', (fields) => (status = fields[':status']));
    stream.on('trailers', (fields) => (trailers = { ...fields }));
    stream.on('data', (chunk: Buffer) => pieces.push(chunk));
    stream.on('error', () => undefined);
    stream.on('close', () => resolve({ status, body: Buffer.concat(pieces), trailers, interim, code: stream.rstCode }));
  });
}

t.test('node:http2 talks to node:http2 through both of our roles', async (t) => {
  const { origin, close } = await chain((stream, fields: OutgoingHttpHeaders) => {
    if (fields[':path'] === '/cut') {
      stream.respond({ ':status': 200 });
      stream.on('error', () => undefined);
      stream.write('abc', () => stream.destroy(new Error('cut')));
      return;
    }
    stream.additionalHeaders({ ':status': 103, link: 'x' });
    stream.respond({ ':status': 201, 'x-cookie': fields['cookie'] ?? '' }, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers({ 'x-sum': '1' }));
    stream.pipe(stream);
  });
  const session = connect(origin);
  t.teardown(() => {
    session.destroy();
    close();
  });
  const text = Buffer.from('hello '.repeat(1000));
  const answers = await Promise.all(
    Array.from({ length: 50 }, () => {
      const stream = session.request({ ':method': 'POST', ':path': '/', cookie: 'a=1; b=2' });
      stream.end(text);
      return answerOf(stream);
    }),
  );
  for (const { status, body, trailers, interim } of answers) {
    t.match({ status, trailers, interim }, { status: 201, trailers: { 'x-sum': '1' }, interim: [103] });
    t.ok(body.equals(text));
  }
  const cut = await answerOf(session.request({ ':path': '/cut' }));
  t.match({ ...cut, body: cut.body.toString() }, { status: 200, body: 'abc', code: constants.NGHTTP2_INTERNAL_ERROR });
  const head = await answerOf(session.request({ ':method': 'HEAD', ':path': '/' }));
  t.same([head.status, head.body.length], [201, 0]);
});

t.test('64 MiB go up and come back whole while the reader is slow, and little waits on the way', async (t) => {
  const { origin, close } = await chain((stream) => {
    stream.respond({ ':status': 200 });
    stream.pipe(stream);
  });
  const session = connect(origin, { settings: { initialWindowSize: 100_000 } });
  t.teardown(() => {
    session.destroy();
    close();
  });
  const total = 64 * 1024 * 1024;
  const piece = Buffer.alloc(65_536, 'abcdefg');
  const sent = createHash('sha256');
  const got = createHash('sha256');
  const stream = session.request({ ':method': 'POST', ':path': '/' });
  let toSend = total;
  const write = (): void => {
    while (toSend > 0) {
      toSend -= piece.length;
      sent.update(piece);
      if (!stream.write(piece)) return;
    }
    stream.end();
  };
  stream.on('drain', write);
  write();
  let received = 0;
  let most = 0;
  let reads = 0;
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    received += chunk.length;
    got.update(chunk);
    if (++reads % 16 === 0) await new Promise(setImmediate);
    most = Math.max(most, total - toSend - received);
  }
  t.same([received, got.digest('hex')], [total, sent.digest('hex')]);
  t.ok(most < 4 * 1024 * 1024, `${most} bytes under way, where the windows of all hops allow about 1 MiB`);
});

t.test('TLS with ALPN h2 carries the same', async (t) => {
  const authority = new TestAuthority();
  const { certChainPem: cert, privateKeyPem: key } = authority.identity('web');
  const server = createTls({ cert, key, ALPNProtocols: ['h2'] }, h2Server(hello));
  const port = await listen(server);
  const session = connect(`https://127.0.0.1:${port}`, { rejectUnauthorized: false });
  t.teardown(() => {
    session.destroy();
    server.close();
  });
  const stream = session.request({ ':path': '/' });
  const { status, body } = await answerOf(stream);
  t.same([status, body.toString(), session.alpnProtocol], [200, 'hello', 'h2']);
});

t.test('curl, h2load and h2spec find nothing wrong', async (t) => {
  const server = createPlain({ noDelay: true, allowHalfOpen: true }, h2Server(hello));
  const port = await listen(server);
  t.teardown(() => server.close());
  const curl = findTool('curl');
  const h2load = findTool('h2load');
  const h2spec = findTool('h2spec');
  await t.test('curl', { skip: curl === null && 'curl is not here' }, async (t) => {
    const url = `http://127.0.0.1:${port}/`;
    const options = ['-s', '--http2-prior-knowledge', '-w', ' %{http_version} %{http_code}'];
    t.equal((await run(curl!, [...options, url])).stdout, 'hello 2 200');
    t.equal((await run(curl!, [...options, '-d', 'x'.repeat(100_000), url])).stdout, 'hello 2 200');
  });
  await t.test('h2load', { skip: h2load === null && 'h2load is not here' }, async (t) => {
    const { stdout } = await run(h2load!, ['-n', '20000', '-c', '4', '-m', '100', `http://127.0.0.1:${port}/`]);
    t.match(stdout, /20000 succeeded, 0 failed, 0 errored/);
  });
  await t.test('h2spec', { skip: h2spec === null && 'h2spec is not here (H2SPEC names it)' }, async (t) => {
    const { stdout } = await run(h2spec!, ['-h', '127.0.0.1', '-p', String(port), '-o', '1']);
    t.match(stdout, /tests, \d+ passed, \d+ skipped, 0 failed/);
  });
});

t.test('curl and h2load are served through two sidecars, by an application that speaks HTTP/1.1', async (t) => {
  const answers = answering(() => okResponse('hello'));
  const mesh = await workerMesh(
    t,
    { authority: new TestAuthority(), podAddress: '127.0.0.79', mode: 'STRICT' },
    answers,
  );
  const url = `http://127.0.0.1:${await mesh.client.port('echo:80')}/`;
  const curl = findTool('curl');
  const h2load = findTool('h2load');
  await t.test('curl', { skip: curl === null && 'curl is not here' }, async (t) => {
    const options = ['-s', '--http2-prior-knowledge', '-w', ' %{http_version} %{http_code}'];
    t.equal((await run(curl!, [...options, url])).stdout, 'hello 2 200');
    // The application answers at the head: curl has most of the body yet to send.
    for (let i = 0; i < 20; i++) {
      t.equal((await run(curl!, [...options, '-d', 'x'.repeat(100_000), url])).stdout, 'hello 2 200');
    }
  });
  await t.test('h2load', { skip: h2load === null && 'h2load is not here' }, async (t) => {
    const { stdout } = await run(h2load!, ['-n', '5000', '-c', '4', '-m', '50', url]);
    t.match(stdout, /5000 succeeded, 0 failed, 0 errored/);
  });
});
