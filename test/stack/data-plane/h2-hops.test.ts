/**
 * Hops over HTTP/2 whose connection is full, spent, held up or failing: requests that only wait must not pay for it.
 */
import { connect, type Socket } from 'node:net';
import t, { type Test } from 'tap';
import { inboundCluster } from '#api/names.ts';
import type { RetryConfig } from '../../../proxy/config/retries.ts';
import type { ClusterConfig } from '../../../proxy/config/snapshot.ts';
import { PREFACE } from '../../../proxy/http/h2/frames.ts';
import {
  data,
  type Dialogue,
  dialogueServer,
  END_HEADERS,
  END_STREAM,
  GET,
  headers,
  openDialogue,
  settings,
  T,
  windowUpdate,
} from '../../support/h2-dialogue.ts';
import { TestAuthority } from '../../support/identities.ts';
import { okResponse, openWire, rawUpstream, type Wire } from '../../support/raw-http.ts';
import {
  change,
  cluster,
  DEFAULT_RETRY,
  destination,
  endpoint,
  inboundListener,
  route,
  startWorker,
} from '../../support/worker.ts';
import { until } from './rig.ts';

const POD_ADDRESS = '127.0.0.78';
const authority = new TestAuthority();
const OK = [':status', '200'];
const MAX_CONCURRENT_STREAMS = 3;
const INITIAL_WINDOW = 4;
/** More than fit into the window of one connection. */
const STALLED = 40;
const LIMITS = { connections: 1024, pendingRequests: 1024, requests: 1024 };

type Server = Awaited<ReturnType<typeof dialogueServer>>;

async function rig(
  t: Test,
  servers: readonly Server[],
  more: Partial<ClusterConfig> = {},
  retry: RetryConfig | null = DEFAULT_RETRY,
): Promise<(method?: string, path?: string) => Promise<Wire>> {
  const endpoints = servers.map(({ port }) => endpoint(port));
  const one = cluster('echo:80', endpoints, { http2: true, ...more });
  const worker = await startWorker(
    { outbound: null, explicitListens: [{ name: 'echo:80', address: '127.0.0.1', port: 0 }] },
    new Map([['echo:80', destination('echo:80', one, [route('echo:80', { retry })])]]),
  );
  const port = await worker.port('echo:80');
  const wires: Wire[] = [];
  t.teardown(async () => {
    for (const wire of wires) wire.socket.destroy();
    for (const server of servers) server.close();
    await worker.close();
  });
  return async (method = 'GET', path = '/') => {
    const wire = await openWire(port);
    wires.push(wire);
    const length = method === 'GET' ? '' : 'Content-Length: 0\r\n';
    wire.write(`${method} ${path} HTTP/1.1\r\nHost: a\r\n${length}\r\n`);
    return wire;
  };
}

/** Answers every request that comes. */
function answerAll(dialogue: Dialogue): void {
  let seen = 0;
  dialogue.socket.on('data', () => {
    for (; seen < dialogue.frames.length; seen++) {
      const { type, streamId } = dialogue.frames[seen]!;
      if (type === T.HEADERS) dialogue.send(headers(streamId, OK));
    }
  });
}

function requestsOn({ frames }: Dialogue): number {
  return frames.filter(({ type }) => type === T.HEADERS).length;
}

t.test('requestsPerConnection opens connections over HTTP/2 too, and costs no request', async (t) => {
  for (const requestsPerConnection of [1, 3]) {
    const server = await dialogueServer(answerAll);
    const ask = await rig(t, [server], { limits: { ...LIMITS, requestsPerConnection } }, null);
    for (let i = 0; i < 6; i++) t.match(await (await ask()).includes('\r\n\r\n'), /^HTTP\/1\.1 200 /);
    t.equal(server.dialogues.length, 6 / requestsPerConnection);
    await until(
      () => server.dialogues.slice(0, -1).every(({ socket }) => socket.readableEnded),
      'spent ones are closed',
    );
  }
});

t.test('requests that wait for a stream outlive the connection that they wait for', async (t) => {
  let connections = 0;
  const server = await dialogueServer(
    (dialogue) => {
      if (connections++ > 0) answerAll(dialogue);
    },
    settings([MAX_CONCURRENT_STREAMS, 1]),
  );
  const ask = await rig(t, [server], { limits: { ...LIMITS, connections: 1 } });
  const first = await ask('POST');
  await until(() => server.dialogues.length === 1 && requestsOn(server.dialogues[0]!) === 1, 'the first is under way');
  const waiting = await Promise.all(Array.from({ length: 4 }, () => ask('POST')));
  await new Promise((resolve) => setTimeout(resolve, 50));
  server.dialogues[0]!.send(windowUpdate(0, 0x7fff_ffff));
  t.match(await first.includes('\r\n\r\n'), /^HTTP\/1\.1 50[23] /);
  for (const wire of waiting) t.match(await wire.includes('\r\n\r\n'), /^HTTP\/1\.1 200 /);
  t.equal(requestsOn(server.dialogues[0]!), 1, 'nothing was opened on the one that failed');
});

t.test('a request that waits for a further connection is answered when that cannot be opened', async (t) => {
  const full = await dialogueServer(() => undefined, settings([MAX_CONCURRENT_STREAMS, 1]));
  const alone = await rig(t, [full]);
  await alone();
  await until(() => full.dialogues.length === 1 && requestsOn(full.dialogues[0]!) === 1, 'its one stream is taken');
  full.stopListening();
  const askedMs = performance.now();
  const wire = await alone();
  t.match(await wire.includes('\r\n\r\n'), /^HTTP\/1\.1 503 [^]*tulle-reason: connect-failure/);
  t.ok(performance.now() - askedMs < 5000, 'before the stream that is taken ends');
});

/** An application that sends as much as all windows allow, and not a byte more. */
function sendAllowed(dialogue: Dialogue, sizeBytes: number): void {
  const windows = { connection: 65_535, initial: 65_535 };
  const left = new Map<number, { window: number; bytes: number }>();
  let seen = 0;
  const pump = (): void => {
    for (const [id, stream] of left) {
      while (stream.bytes > 0) {
        const n = Math.min(16_384, stream.bytes, stream.window, windows.connection);
        if (n <= 0) break;
        stream.bytes -= n;
        stream.window -= n;
        windows.connection -= n;
        dialogue.send(data(id, 'x'.repeat(n), stream.bytes === 0 ? END_STREAM : 0));
      }
      if (stream.bytes === 0) left.delete(id);
    }
  };
  dialogue.socket.on('data', () => {
    for (; seen < dialogue.frames.length; seen++) {
      const { type, flags, streamId, payload, fields } = dialogue.frames[seen]!;
      if (type === T.SETTINGS && flags === 0) {
        for (let i = 0; i < payload.length; i += 6)
          if (payload.readUInt16BE(i) === INITIAL_WINDOW) windows.initial = payload.readUInt32BE(i + 2);
      } else if (type === T.WINDOW_UPDATE && streamId === 0) windows.connection += payload.readUInt32BE(0);
      else if (type === T.WINDOW_UPDATE) {
        const stream = left.get(streamId);
        if (stream !== undefined) stream.window += payload.readUInt32BE(0);
      } else if (type === T.RST_STREAM) left.delete(streamId);
      else if (type === T.HEADERS) {
        left.set(streamId, { window: windows.initial, bytes: fields.includes('/large') ? sizeBytes : 2 });
        dialogue.send(headers(streamId, OK, END_HEADERS));
      }
    }
    pump();
  });
}

t.test('clients that do not read hold nobody else up', async (t) => {
  const server = await dialogueServer((dialogue) => sendAllowed(dialogue, 16 * 1024 * 1024));
  const ask = await rig(t, [server]);
  const before = await ask();
  await before.includes('xx');
  const idle: Socket[] = [];
  t.teardown(() => {
    for (const socket of idle) socket.destroy();
  });
  for (let i = 0; i < STALLED; i++) {
    const socket = connect({ port: before.socket.remotePort!, host: '127.0.0.1' });
    idle.push(socket.on('error', () => undefined).pause());
    socket.write('GET /large HTTP/1.1\r\nHost: a\r\n\r\n');
  }
  await until(() => server.dialogues.reduce((sum, one) => sum + requestsOn(one), 0) > STALLED, 'all are under way');
  await new Promise((resolve) => setTimeout(resolve, 500));
  t.match(await (await ask()).includes('xx'), /^HTTP\/1\.1 200 /);
  t.ok(server.dialogues.length > 1, 'on a further connection');
});

t.test('an answer whose reader pauses is whole after a drain, over HTTP/2 as over HTTP/1.1', async (t) => {
  const bodyBytes = 4_035_000;
  const app = await rawUpstream((wire) => {
    void wire.includes('\r\n\r\n').then(() => wire.write(okResponse('x'.repeat(bodyBytes))));
  });
  const worker = await startWorker({ outbound: null, podAddresses: [POD_ADDRESS] });
  const own = cluster(inboundCluster(app.port), [endpoint(app.port)], { discovery: 'static' });
  worker.worker.receive({ kind: 'identity', identity: authority.identity('echo') });
  worker.apply(
    change({
      trust: authority.trust,
      clusters: new Map([[own.name, own]]),
      listeners: new Map([['inbound', inboundListener(app.port, 'PERMISSIVE')]]),
    }),
  );
  const wide = PREFACE + settings([INITIAL_WINDOW, 2 ** 30]) + windowUpdate(0, 2 ** 30);
  const dialogue = await openDialogue(await worker.port('inbound'), wide, POD_ADDRESS);
  t.teardown(async () => {
    dialogue.destroy();
    app.close();
    await worker.close();
  });
  await dialogue.settled();
  dialogue.socket.pause();
  dialogue.send(headers(1, GET));
  const active = (): number => worker.worker.describe().clusters[0]?.activeRequests ?? 1;
  await until(
    () => app.connections.length === 1 && active() === 0,
    'all of the answer is with the kernel and in the socket',
  );
  worker.worker.receive({ kind: 'drain', direction: 'inbound', deadlineMs: 20_000 });
  // Longer than a connection lingers behind its last byte.
  await new Promise((resolve) => setTimeout(resolve, 2500));
  dialogue.socket.resume();
  await dialogue.closed();
  const pieces = dialogue.frames.filter(({ type }) => type === T.DATA);
  t.equal(
    pieces.reduce((sum, { payload }) => sum + payload.length, 0),
    bodyBytes,
  );
});
