/**
 * Our HTTP/2 server as exchanges and clients see it: answers of all kinds, both windows, early ends, drain and silence, frame by frame.
 */
import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';
import t from 'tap';
import { responseHead } from '../../../proxy/exchange/local-answer.ts';
import { HeaderList } from '../../../proxy/http/headers.ts';
import { PREFACE } from '../../../proxy/http/h2/frames.ts';
import { CHUNKED_BODY, NO_BODY } from '../../../proxy/http/message.ts';
import { answer, answeringServer, type Seen } from '../../support/h2-answering.ts';
import {
  ACK,
  data,
  END_HEADERS,
  END_STREAM,
  frame,
  GET,
  headers,
  openDialogue,
  POST,
  rstStream,
  settings,
  T,
  windowUpdate,
} from '../../support/h2-dialogue.ts';

const HEAD = responseHead(200, new HeaderList(), CHUNKED_BODY);

const piece = (id: number): string => data(id, 'x'.repeat(16_384));

function at(path: string, method = 'GET'): string[] {
  return [':method', method, ':scheme', 'http', ':path', path, ':authority', 'a'];
}

t.test('answers of every kind have the frames they need', async (t) => {
  const answers: Record<string, (seen: Seen) => void> = {
    '/early': ({ stream }) => answer(stream, 'no', ['x', 'y']),
    '/none': ({ stream }) => {
      stream.writeHead(responseHead(204, new HeaderList(), NO_BODY), NO_BODY);
      stream.end(null);
    },
    '/head': ({ stream }) => answer(stream, 'hello'),
    '/empty': ({ stream }) => answer(stream, ''),
    '/interim': ({ stream }) => {
      stream.writeInterim(responseHead(103, new HeaderList(['link', 'x']), NO_BODY));
      answer(stream, 'ab', [], ['grpc-status', '0']);
      stream.writeInterim(HEAD);
      stream.end(null);
    },
    '/only': ({ stream }) => answer(stream, '', [], ['grpc-status', '0']),
    '/cut': ({ stream }) => {
      stream.writeHead(HEAD, CHUNKED_BODY);
      stream.writeData(Buffer.from('abc'), 0, 3);
      stream.reset();
      stream.end(null);
    },
  };
  const server = await answeringServer((seen) => answers[seen.head.path]!(seen));
  t.teardown(() => server.close());
  const dialogue = await openDialogue(server.port);
  dialogue.send(
    headers(1, at('/early', 'POST'), END_HEADERS) + data(1, 'ignored', END_STREAM),
    headers(3, at('/none')) + headers(5, at('/head', 'HEAD')) + headers(7, at('/empty')) + headers(9, at('/interim')),
    headers(11, at('/only')) + headers(13, at('/cut')),
  );
  await dialogue.settled();
  t.same(dialogue.summary(), [
    'HEADERS 1 200',
    'DATA 1 2',
    'DATA 1 0 end',
    'HEADERS 3 204 end',
    'HEADERS 5 200 end',
    'HEADERS 7 200 end',
    'HEADERS 9 103',
    'HEADERS 9 200',
    'DATA 9 2',
    'HEADERS 9 grpc-status 0 end',
    'HEADERS 11 200',
    'HEADERS 11 grpc-status 0 end',
    'HEADERS 13 200',
    'DATA 13 3',
    'RST_STREAM 13 INTERNAL_ERROR',
  ]);
  t.same(dialogue.frames.find((f) => f.streamId === 5)!.fields, [':status', '200', 'content-length', '5']);
});

t.test('a client with its whole answer has a second to end its request, and is asked to stop it then', async (t) => {
  const server = await answeringServer(({ stream }) => answer(stream, 'no'));
  t.teardown(() => server.close());
  const dialogue = await openDialogue(server.port);
  const beganMs = performance.now();
  dialogue.send(headers(1, POST, END_HEADERS), headers(3, POST, END_HEADERS), headers(5, POST, END_HEADERS));
  await dialogue.frame(T.DATA, 5);
  // More than a stream's window of what nobody reads, and an end for one of them.
  for (let i = 0; i < 8; i++) {
    dialogue.send(piece(3), piece(3));
    await dialogue.settled();
  }
  dialogue.send(data(3, '', END_STREAM), rstStream(5, 0));
  t.equal((await dialogue.frame(T.RST_STREAM, 1)).payload.readUInt32BE(0), 0, 'NO_ERROR');
  t.ok(performance.now() - beganMs >= 1000);
  await dialogue.settled();
  t.same(
    dialogue.summary().filter((line) => /RST|GOAWAY/.test(line)),
    ['RST_STREAM 1 NO_ERROR'],
  );
});

t.test('a client that resets what is left of an answered request spends no budget of resets', async (t) => {
  const server = await answeringServer(({ stream }) => answer(stream, 'no'));
  t.teardown(() => server.close());
  const dialogue = await openDialogue(server.port);
  for (let id = 1; id < 3000; id += 2) {
    dialogue.send(headers(id, POST, END_HEADERS));
    await dialogue.frame(T.DATA, id);
    dialogue.send(rstStream(id));
  }
  dialogue.send(headers(3001, GET));
  t.equal((await dialogue.frame(T.HEADERS, 3001)).fields[1], '200');
});

t.test('a request is told as it is', async (t) => {
  const server = await answeringServer();
  t.teardown(() => server.close());
  const dialogue = await openDialogue(server.port);
  dialogue.send(
    headers(
      1,
      [...at('/a?b', 'PUT'), 'cookie', 'a=1', 'x', '', 'cookie', 'b=2', 'host', 'A:80', 'te', 'Trailers'],
      END_HEADERS,
    ),
    data(1, 'ab') + data(1, 'cd') + headers(1, ['x-sum', '1', 'host', 'evil']),
    headers(3, [...POST, 'content-length', '0']),
  );
  await dialogue.settled();
  t.same(
    server.seen.map(({ head, body, trailers, ended }) => [
      head.version,
      head.path,
      head.authority,
      head.headers.fields,
      head.body.kind,
      body,
      trailers,
      ended,
    ]),
    [
      [20, '/a?b', 'a', ['x', '', 'te', 'trailers', 'cookie', 'a=1; b=2'], 'chunked', 'abcd', ['x-sum', '1'], true],
      [20, '/', 'a', [], 'length', '', null, true],
    ],
  );
});

t.test('what many streams say in one turn leaves in one write', async (t) => {
  const writes: number[] = [];
  const socket = new Duplex({
    read: () => undefined,
    write: (chunk: Buffer, _encoding, done) => {
      writes.push(chunk.length);
      done();
    },
  });
  const server = await answeringServer();
  server.close();
  server.accept(socket as Socket);
  await new Promise(setImmediate);
  writes.length = 0;
  socket.push(
    Buffer.from(
      PREFACE + settings() + Array.from({ length: 50 }, (_, i) => headers(2 * i + 1, GET)).join(''),
      'latin1',
    ),
  );
  await new Promise(setImmediate);
  socket.destroy();
  t.same([server.seen.length, writes.length], [50, 1]);
});

t.test('what two readers could understand differently never becomes an exchange (2l to 2q)', async (t) => {
  const server = await answeringServer();
  t.teardown(() => server.close());
  const dialogue = await openDialogue(server.port);
  const wrong: string[][] = [
    [...GET, 'x', 'a\r\nhost: b'],
    [...GET, 'x', 'a\0b'],
    [...GET, 'x\r\ny', 'a'],
    [...GET, '', 'a'],
    [...GET, 'x', ' a'],
    [...GET, 'transfer-encoding', 'chunked'],
    [...GET, 'content-length', '10'],
    [...GET, 'host', 'b'],
    at('/x HTTP/1.1\r\nhost: b'),
    at('admin.Admin/Delete'),
    at('/x#frag'),
    at('/', 'GET /x'),
    [':method', 'GET', ':scheme', 'ftp', ':path', '/', ':authority', 'a'],
    [':method', 'GET', ':scheme', 'http', ':path', '/', ':authority', 'u:p@a'],
    [':method', 'GET', ':scheme', 'http', ':path', '/'],
    [':method', 'CONNECT', ':authority', 'a:80', ':path', '/'],
    [':method', 'CONNECT', ':protocol', 'websocket', ...GET.slice(2)],
  ];
  dialogue.send(...wrong.map((fields, i) => headers(2 * i + 1, fields)));
  dialogue.send(headers(101, [':method', 'GET', ':scheme', 'HtTpS', ':path', '/', ':authority', 'a']));
  await dialogue.settled();
  t.same(dialogue.summary(), [
    ...wrong.map((_, i) => `RST_STREAM ${2 * i + 1} PROTOCOL_ERROR`),
    'HEADERS 101 200',
    'DATA 101 5',
    'DATA 101 0 end',
  ]);
  t.same([server.seen.map(({ head }) => head.scheme), server.refused.length], [['https'], wrong.length]);
});

t.test('CONNECT may name a protocol where we said so (RFC 8441)', async (t) => {
  const server = await answeringServer(({ stream }) => stream.writeHead(HEAD, CHUNKED_BODY), { extendedConnect: true });
  t.teardown(() => server.close());
  const dialogue = await openDialogue(server.port);
  const told = await dialogue.frame(T.SETTINGS);
  t.ok(told.payload.latin1Slice().endsWith('\0\x08\0\0\0\x01'));
  dialogue.send(
    headers(1, [':method', 'CONNECT', ':protocol', 'websocket', ...GET.slice(2)], END_HEADERS) + data(1, 'frame'),
  );
  dialogue.send(headers(3, [':method', 'CONNECT', ':authority', 'a:443'], END_HEADERS));
  await dialogue.settled();
  t.same(
    server.seen.map(({ head, body }) => [head.method, head.path, head.upgrade, head.body.kind, body]),
    [
      ['GET', '/', 'websocket', 'none', ''],
      ['CONNECT', 'a:443', '', 'chunked', ''],
    ],
  );
});

t.test('a paused request is not paid back; others go on (both windows)', async (t) => {
  const server = await answeringServer((seen) => {
    if (seen.head.path === '/slow') seen.stream.pauseRequest();
    else seen.onEnd = () => answer(seen.stream, 'hello');
  });
  t.teardown(() => server.close());
  const dialogue = await openDialogue(server.port);
  dialogue.send(headers(1, at('/slow', 'POST'), END_HEADERS) + piece(1).repeat(16));
  dialogue.send(headers(3, POST, END_HEADERS) + piece(3).repeat(10) + data(3, '', END_STREAM));
  await dialogue.frame(T.DATA, 3);
  const paid = (id: number): number =>
    dialogue.frames.reduce(
      (sum, f) => sum + (f.type === T.WINDOW_UPDATE && f.streamId === id ? f.payload.readUInt32BE(0) : 0),
      0,
    );
  t.same([server.seen[0]!.bytes, paid(1)], [262_144, 0]);
  server.seen[0]!.stream.resumeRequest();
  await dialogue.settled();
  t.equal(paid(1), 262_144);
});

t.test('answers share the connection a frame at a time, and go on where windows open', async (t) => {
  const body = Buffer.alloc(100_000, 'x');
  const server = await answeringServer(({ stream }) => {
    stream.writeHead(HEAD, CHUNKED_BODY);
    stream.writeData(body, 0, body.length);
    stream.end(new HeaderList(['x-sum', '1']));
  });
  t.teardown(() => server.close());
  const dialogue = await openDialogue(server.port);
  dialogue.send(settings([4, 70_000]) + headers(1, GET) + headers(3, GET));
  await dialogue.settled();
  t.equal(dialogue.contentBytes(1) + dialogue.contentBytes(3), 65_535);
  dialogue.send(windowUpdate(0, 1_000_000));
  await dialogue.settled();
  t.same([dialogue.contentBytes(1), dialogue.contentBytes(3)], [70_000, 70_000]);
  dialogue.frames.length = 0;
  dialogue.send(windowUpdate(3, 30_000) + windowUpdate(1, 29_999));
  await dialogue.settled();
  t.same(dialogue.summary(), ['DATA 3 16384', 'DATA 3 13616', 'HEADERS 3 x-sum 1 end', 'DATA 1 16384', 'DATA 1 13615']);
});

t.test('drain: nothing under way is lost, nothing new is taken', async (t) => {
  const server = await answeringServer((seen) => (seen.onEnd = () => answer(seen.stream, 'hello')));
  t.teardown(() => server.close());
  const dialogue = await openDialogue(server.port);
  dialogue.send(headers(1, POST, END_HEADERS));
  await dialogue.settled();
  const [connection] = server.connections;
  connection!.drain();
  const question = await dialogue.find((frames) => frames.find((f) => f.type === T.PING && f.flags === 0));
  // Sent before the client could know.
  dialogue.send(headers(3, POST, END_HEADERS) + frame(T.PING, ACK, 0, question.payload.latin1Slice()));
  await dialogue.find((frames) => frames.filter((f) => f.type === T.GOAWAY)[1]);
  dialogue.send(headers(5, GET) + data(1, '', END_STREAM) + data(3, '', END_STREAM));
  await dialogue.closed();
  t.same(dialogue.summary(), [
    'GOAWAY 2147483647 NO_ERROR',
    `PING ${question.payload.latin1Slice()}`,
    'GOAWAY 3 NO_ERROR',
    'HEADERS 1 200',
    'DATA 1 5',
    'DATA 1 0 end',
    'HEADERS 3 200',
    'DATA 3 5',
    'DATA 3 0 end',
    'closed',
  ]);
  t.equal(server.seen.length, 2);
});

t.test('idle connections are drained; silent ones with requests are asked, then cut', async (t) => {
  const idle = await answeringServer(undefined, {}, { idleTimeoutMs: 300, headTimeoutMs: 300 });
  const silent = await answeringServer(() => undefined, { keepAliveIntervalMs: 300, keepAliveTimeoutMs: 40 });
  t.teardown(() => {
    idle.close();
    silent.close();
  });
  const first = await openDialogue(idle.port);
  const second = await openDialogue(silent.port);
  second.send(headers(1, GET));
  await second.settled();
  const reset = new Promise<void>((resolve) => (silent.seen[0]!.onReset = resolve));
  await first.frame(T.GOAWAY);
  const question = await first.frame(T.PING);
  first.send(frame(T.PING, ACK, 0, question.payload.latin1Slice()));
  await Promise.all([first.closed(), second.closed(), reset]);
  t.match(first.summary(), ['GOAWAY 2147483647 NO_ERROR', /PING/, 'GOAWAY 0 NO_ERROR', 'closed']);
  t.match(second.summary(), [/^PING/, 'closed']);
  t.equal(silent.seen[0]!.reset, 'the client does not answer PING');
});

t.test('a client that goes away takes its exchanges with it', async (t) => {
  const server = await answeringServer(() => undefined);
  t.teardown(() => server.close());
  const ended = await openDialogue(server.port);
  const cut = await openDialogue(server.port);
  ended.send(headers(1, GET));
  cut.send(headers(1, GET) + headers(3, POST, END_HEADERS));
  await Promise.all([ended.settled(), cut.settled()]);
  const gone = server.seen.map((seen) => new Promise<void>((resolve) => (seen.onReset = resolve)));
  ended.socket.end();
  cut.socket.resetAndDestroy();
  await Promise.all(gone);
  t.same(new Set(server.seen.map((seen) => seen.reset)), new Set(['the client closed the connection']));
});
