/**
 * Clients that stand still within a body, or take nothing of an answer, are given up in time; those that get on, or may be silent, never are.
 */
import { systemClock } from '#base/clock.ts';
import t, { type Test } from 'tap';
import { renderPrometheus } from '../../../proxy/telemetry/prometheus.ts';
import {
  data,
  END_HEADERS,
  headers,
  openDialogue,
  POST,
  settings,
  T,
  type Dialogue,
} from '../../support/h2-dialogue.ts';
import { PREFACE } from '../../../proxy/http/h2/frames.ts';
import { answering, okResponse, type Wire } from '../../support/raw-http.ts';
import type { TestWorker } from '../../support/worker.ts';
import { type Behaviour, GET, NOTHING, rig, type Rig, underWay, until } from './rig.ts';

const PATIENCE = { bodyIdleMs: 400, flushMs: 600 };
/** Longer than what stands still is ever left alone. */
const LONG_MS = 1500;
const MIB = 1_048_576;
const LENGTH = 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n';
const CHUNKED = 'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n';
const GRPC = [...POST, 'content-type', 'application/grpc', 'te', 'trailers'];

function mean(t: Test, behaviour: Behaviour = () => undefined): Promise<Rig> {
  return rig(t, [behaviour], { limits: { patience: PATIENCE } });
}

function stalls(worker: TestWorker): string[] {
  const lines = renderPrometheus(worker.registry).split('\n');
  return lines.filter((line) => line.startsWith('tulle_downstream_stalls_total{'));
}

function counted(stall: string, count: number): string[] {
  return [`tulle_downstream_stalls_total{direction="outbound",stall="${stall}"} ${count}`];
}

function wait(ms: number): Promise<void> {
  return new Promise((resolve) => systemClock.after(ms, resolve));
}

function h2(r: Rig, first = PREFACE + settings()): Promise<Dialogue> {
  return openDialogue(r.port, first);
}

/** Resolves when the upstream has seen `text`. */
async function arrived(r: Rig, text: string, index = 0): Promise<Wire> {
  await until(() => r.upstreams[0]?.connections[index]?.text.includes(text) ?? false, `${text} arrives`);
  return r.upstreams[0]!.connections[index]!;
}

t.test('a body that does not go on is answered 408 over HTTP/1.1, and its upstream is let go', async (t) => {
  const r = await mean(t);
  for (const [index, head] of [LENGTH, `${CHUNKED}5\r\nhello\r\n`, `${CHUNKED}5`].entries()) {
    const client = await r.connect();
    client.write(head);
    const upstream = await arrived(r, 'POST', index);
    t.match(await client.closed(), /^HTTP\/1\.1 408 [^]*tulle-reason: request-body-timeout/);
    t.notMatch(await upstream.closed(), /0\r\n\r\n/, 'no end that was not there');
  }
  await until(() => underWay(r.worker)['inFlight'] === 0, 'nothing is under way');
  t.same(stalls(r.worker), counted('request-body', 3));
});

t.test('a body that does not go on is answered 408 over HTTP/2, and other streams are served', async (t) => {
  const r = await mean(
    t,
    answering((head) => (head.startsWith('GET') ? okResponse('good') : '')),
  );
  const dialogue = await h2(r);
  t.teardown(() => dialogue.destroy());
  dialogue.send(headers(1, [...POST, 'content-length', '1000'], END_HEADERS), data(1, 'hello'));
  dialogue.send(headers(3, POST, END_HEADERS));
  for (const stream of [1, 3]) {
    t.equal((await dialogue.frame(T.HEADERS, stream)).fields[1], '408');
    t.equal((await dialogue.frame(T.RST_STREAM, stream)).payload.readUInt32BE(0), 0, 'NO_ERROR: stop sending');
  }
  dialogue.send(headers(5, [':method', 'GET', ':scheme', 'http', ':path', '/', ':authority', 'a']));
  t.equal((await dialogue.frame(T.HEADERS, 5)).fields[1], '200');
  t.same(stalls(r.worker), counted('request-body', 2));
});

/** Answers `/duplex` before its body has come, and nothing else. */
function beginsDuplex(wire: Wire): void {
  wire.socket.on('data', () => {
    if (wire.text.includes('/duplex') && !wire.text.includes('ping')) wire.write('HTTP/1.1 200 OK\r\n\r\nbegun');
  });
}

t.test('what comes slowly, or is silent with good reason, is left alone', async (t) => {
  const r = await mean(t, beginsDuplex);
  const dripping = await r.connect();
  dripping.write('POST /drip HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n');
  const polling = await r.connect();
  polling.write('GET /poll HTTP/1.1\r\nHost: a\r\n\r\n');
  const duplex = await r.connect();
  duplex.write('POST /duplex HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n');
  await duplex.includes('begun');
  const dialogue = await h2(r);
  t.teardown(() => dialogue.destroy());
  dialogue.send(headers(1, GRPC, END_HEADERS));
  for (let i = 0; i < 10; i++) {
    dripping.write('x');
    await wait(LONG_MS / 10);
  }
  const upstreamOf = (path: string): Wire =>
    r.upstreams[0]!.connections.find((wire) => wire.text.includes(`${path} HTTP`))!;
  upstreamOf('/drip').write(okResponse('dripped'));
  upstreamOf('/poll').write(okResponse('polled'));
  duplex.write('4\r\nping\r\n0\r\n\r\n');
  await until(() => upstreamOf('/duplex').text.includes('ping'), 'the body of the duplex goes on');
  t.match(await dripping.includes('dripped'), /^HTTP\/1\.1 200/);
  t.match(await polling.includes('polled'), /^HTTP\/1\.1 200/);
  dialogue.send(data(1, '\0\0\0\0\0', 1));
  await until(() => upstreamOf('/').text.endsWith('0\r\n\r\n'), 'the call goes on');
  t.same(stalls(r.worker), []);
});

t.test('a body that waits for the upstream is not held against the client', async (t) => {
  const r = await mean(t, (wire) => wire.socket.pause());
  const size = 32 * MIB;
  const client = await r.connect();
  client.write(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${size}\r\n\r\n${'x'.repeat(size)}`);
  await until(() => (r.upstreams[0]?.connections.length ?? 0) > 0, 'the upstream is asked');
  await wait(LONG_MS);
  const upstream = r.upstreams[0]!.connections[0]!;
  upstream.socket.resume();
  await until(() => upstream.text.length > size, 'all of it arrives');
  upstream.write(okResponse('good'));
  t.match(await client.includes('good'), /^HTTP\/1\.1 200/);
  t.same(stalls(r.worker), []);
});

t.test(
  'an answer that is not taken is given up: before its end, after it, and when it ends the connection',
  async (t) => {
    const size = 32 * MIB;
    const r = await mean(
      t,
      answering((head) => {
        if (head.startsWith('GET /all')) return okResponse('z'.repeat(size));
        // What fits into the buffers on the way is over for the exchange, and not for the connection.
        return head.startsWith('GET /end') ? okResponse('z'.repeat(6 * MIB)) : '';
      }),
    );
    for (const request of ['GET /all HTTP/1.1\r\nHost: a\r\n\r\n', 'GET /end HTTP/1.1\r\nHost: a\r\n\r\n']) {
      const client = await r.connect();
      client.socket.pause();
      client.write(request);
      await until(() => underWay(r.worker)['downstream'] === 1, 'it is there');
      await until(() => underWay(r.worker)['downstream'] === 0, 'it is given up');
      client.socket.resume();
      t.ok((await client.closed()).length < size, 'not all had left');
    }
    const client = await r.connect();
    client.socket.pause();
    client.write('GET /end HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
    await until(() => underWay(r.worker)['downstream'] === 1, 'it is there');
    await until(() => underWay(r.worker)['downstream'] === 0, 'it is given up');
    t.same(underWay(r.worker), NOTHING);
    t.same(stalls(r.worker), counted('answer', 3));
  },
);

t.test('an answer within a closed window is given up over HTTP/2, and the connection stays', async (t) => {
  const r = await mean(
    t,
    answering((head) => okResponse(head.startsWith('GET') ? 'z'.repeat(MIB) : 'good')),
  );
  const dialogue = await h2(r, PREFACE + settings([4, 0]));
  t.teardown(() => dialogue.destroy());
  dialogue.send(headers(1, [':method', 'GET', ':scheme', 'http', ':path', '/', ':authority', 'a']));
  t.equal((await dialogue.frame(T.RST_STREAM, 1)).payload.readUInt32BE(0), 8, 'CANCEL');
  dialogue.send(settings([4, 65_535]), headers(3, [':method', 'PUT', ...POST.slice(2)]));
  t.equal((await dialogue.frame(T.HEADERS, 3)).fields[1], '200');
  t.same(stalls(r.worker), counted('answer', 1));
});

t.test('a client that reads slowly gets all of it', async (t) => {
  const size = 48 * MIB;
  const r = await mean(
    t,
    answering(() => okResponse('z'.repeat(size))),
  );
  const client = await r.connect();
  let got = 0;
  client.socket.removeAllListeners('data');
  client.socket.on('data', (chunk: Buffer) => {
    got += chunk.length;
    client.socket.pause();
    systemClock.after(2, () => client.socket.resume());
  });
  client.write(GET);
  const sinceMs = systemClock.now();
  await until(() => got > size, 'all arrives', 30_000);
  t.ok(systemClock.now() - sinceMs > PATIENCE.flushMs, 'and that took longer than standing still may');
  t.same(stalls(r.worker), []);
});

t.test('a tunnel may be silent, and its client may let it wait', async (t) => {
  const accept = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n';
  const size = 16 * MIB;
  const r = await mean(t, (wire) => {
    wire.socket.once('data', () => wire.write(accept + 'y'.repeat(size)));
  });
  const client = await r.connect();
  client.socket.pause();
  client.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n');
  await wait(LONG_MS);
  client.socket.resume();
  await client.until((text) => text.length > size);
  t.same(stalls(r.worker), []);
});
