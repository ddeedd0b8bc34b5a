/**
 * The parts of HTTP/2 that need no connection: frames from bytes however they are cut, states, windows, budgets, queues, heads.
 */
import t from 'tap';
import { Budget } from '../../../../proxy/http/h2/abuse.ts';
import { Flow, MAX_WINDOW_BYTES } from '../../../../proxy/http/h2/flow-control.ts';
import { FrameReader, type FrameSink } from '../../../../proxy/http/h2/frame-reader.ts';
import {
  frameHead,
  goawayFrame,
  headersFrames,
  pingFrame,
  settingsFrame,
} from '../../../../proxy/http/h2/frame-writer.ts';
import { KeepAlive, PEER_DEAD, PING_DUE } from '../../../../proxy/http/h2/keep-alive.ts';
import { RequestFields, requestFields } from '../../../../proxy/http/h2/request-fields.ts';
import { readResponse, readTrailers, responseFields } from '../../../../proxy/http/h2/response-fields.ts';
import { SendQueue } from '../../../../proxy/http/h2/send-queue.ts';
import { PeerSettings } from '../../../../proxy/http/h2/settings.ts';
import { EVENT, nextState, STATE } from '../../../../proxy/http/h2/stream-state.ts';
import { HeaderList } from '../../../../proxy/http/headers.ts';
import { bodyOfLength, DEFAULT_LIMITS, NO_BODY, ResponseHead } from '../../../../proxy/http/message.ts';

class Log implements FrameSink {
  readonly lines: string[] = [];
  #content = '';

  onFrame(type: number, flags: number, streamId: number, bytes: Buffer, start: number, end: number): void {
    this.lines.push(`${type} ${flags} ${streamId} ${bytes.latin1Slice(start, end)}`);
  }
  onDataStart(streamId: number, flags: number, lengthBytes: number): void {
    this.lines.push(`data ${streamId} ${flags} ${lengthBytes}`);
    this.#content = '';
  }
  onDataPiece(chunk: Buffer, start: number, end: number): void {
    this.#content += chunk.latin1Slice(start, end);
  }
  onDataEnd(): void {
    this.lines.push(this.#content);
  }
  onBadFrame(code: number): void {
    this.lines.push(`bad ${code}`);
  }
}

function read(text: string, sizeBytes: number, cutAt = 0): string[] {
  const log = new Log();
  const reader = new FrameReader(log);
  const bytes = Buffer.from(text, 'latin1');
  for (let at = 0, end = cutAt; at < bytes.length; at = end, end += sizeBytes) {
    end = Math.min(end === 0 ? sizeBytes : end, bytes.length);
    // As a read buffer that is used again: what a callback did not copy is gone.
    const chunk = Buffer.from(bytes.subarray(at, end));
    reader.execute(chunk, 0, chunk.length);
    chunk.fill(0);
  }
  return log.lines;
}

t.test('frames are the same however the bytes are cut', async (t) => {
  const text =
    settingsFrame([3, 100, 4, 0x8000_0000]) +
    pingFrame('12345678', true) +
    `${frameHead(3, 0, 1, 5)}abc${frameHead(0, 0, 0, 5)}${frameHead(6, 0, 9, 0x7fff_ffff)}\x02xyz\0\0${frameHead(1, 0, 8, 1)}\0` +
    `${frameHead(3, 0, 8, 1)}\x02\0\0${frameHead(4, 99, 3, 1)}left${headersFrames('block of fields', 7, true, 6)}${goawayFrame(9, 11, 'why')}`;
  const whole = read(text, text.length);
  t.same(whole, [
    '4 0 0 \0\x03\0\0\0d\0\x04\x80\0\0\0',
    '6 1 0 12345678',
    ...['data 5 1 3', 'abc', 'data 5 0 0', '', 'data 2147483647 9 6', 'xyz', 'data 1 8 1', '', 'data 1 8 3', ''],
    ...['99 3 1 ', '1 1 7 block ', '9 0 7 of fie', '9 4 7 lds'],
    '7 0 0 \0\0\0\x09\0\0\0\x0bwhy',
  ]);
  t.same(read(text, 1), whole);
  for (let cut = 1; cut < text.length; cut++) t.same(read(text, text.length, cut), whole, `cut at ${cut}`);
  t.same(
    [frameHead(16_385, 0, 0, 1), `${frameHead(2, 0, 8, 1)}\x02x`, frameHead(0, 0, 8, 1)].map((bad) =>
      read(bad, 100).at(-1),
    ),
    ['bad 6', 'bad 1', 'bad 6'],
  );
});

function walk(...events: (keyof typeof EVENT)[]): number {
  return events.reduce<number>((state, event) => (state < 0 ? state : nextState(state as 0, EVENT[event])), STATE.idle);
}

t.test('a stream lives as RFC 9113 5.1 draws it', async (t) => {
  t.same(
    [
      walk('sendHead', 'sendEnd', 'receiveHead', 'receiveHead', 'receiveEnd'),
      walk('receiveHead', 'receiveEnd', 'sendHead', 'sendHead', 'sendEnd'),
      walk('receiveHead', 'sendHead', 'reset', 'reset'),
      walk('receiveHead', 'receiveEnd', 'receiveHead'),
      walk('sendHead', 'sendEnd', 'sendHead'),
      walk('receiveEnd'),
      walk('reset'),
    ],
    [STATE.closed, STATE.closed, STATE.closed, -1, -1, -1, -1],
  );
});

t.test('windows are paid back in halves, and never beyond their bounds', async (t) => {
  const flow = new Flow(10, 1000);
  t.same([flow.arrive(400), flow.take(400), flow.receiveWindow], [true, 0, 600]);
  t.same([flow.arrive(600), flow.take(100), flow.receiveWindow], [true, 500, 500]);
  t.same([flow.arrive(500), flow.arrive(1)], [true, false]);
  t.same([flow.allow(MAX_WINDOW_BYTES - 10), flow.allow(1)], [true, false]);
});

t.test('a budget fills by time and by what is given back, never above its burst', async (t) => {
  const budget = new Budget({ burst: 2, perSecond: 1 }, 0);
  const spends = [0, 0, 500, 1500, 1500].map((ms) => budget.spend(ms));
  t.same(spends, [true, true, false, true, false]);
  budget.giveBack(100);
  t.same([budget.spend(1500), budget.spend(1500), budget.spend(1500)], [true, true, false]);
});

t.test('silence is asked about once, then taken for death', async (t) => {
  const alive = new KeepAlive({ keepAliveIntervalMs: 10, keepAliveTimeoutMs: 3 }, 0);
  t.same([alive.ask(4), alive.ask(10), alive.ask(11)], [6, PING_DUE, 2]);
  alive.heard(12);
  t.same([alive.ask(13), alive.ask(22), alive.ask(25)], [9, PING_DUE, PEER_DEAD]);
  t.equal(new KeepAlive({ keepAliveIntervalMs: 0, keepAliveTimeoutMs: 3 }, 0).ask(1e9), Number.POSITIVE_INFINITY);
});

t.test('what waits keeps its order, in pieces of any size', async (t) => {
  let out = '';
  const output = {
    writable: true,
    text: () => undefined,
    flushSoon: () => undefined,
    bytes: (chunk: Buffer, start: number, end: number) => {
      out += chunk.latin1Slice(start, end);
    },
  };
  const queue = new SendQueue();
  let said = '';
  let taken = 0;
  for (let i = 0; i < 3000; i++) {
    const piece = String(i).repeat((i % 7) * (i % 11 === 0 ? 100 : 1));
    const bytes = Buffer.from(`.${piece}.`);
    queue.push(bytes, 1, bytes.length - 1);
    said += piece;
    const moved = Math.min(queue.sizeBytes, (i * 31) % 97);
    queue.moveTo(output, moved);
    taken += moved;
  }
  t.equal(queue.sizeBytes, said.length - taken);
  queue.moveTo(output, queue.sizeBytes);
  t.ok(out === said);
});

t.test('settings are taken in order, wrong ones refused', async (t) => {
  const peer = new PeerSettings();
  const apply = (...pairs: number[]): number | null => {
    const bytes = Buffer.from(settingsFrame(pairs).slice(9), 'latin1');
    return peer.apply(bytes, 0, bytes.length)?.code ?? null;
  };
  t.equal(apply(1, 0, 3, 5, 3, 7, 4, 9, 5, 20_000, 8, 1, 0xabcd, 1), null);
  t.match(peer, {
    headerTableBytes: 0,
    maxConcurrentStreams: 7,
    initialWindowBytes: 9,
    maxFrameBytes: 20_000,
    connectProtocol: true,
  });
  t.same([apply(8, 0), apply(8, 2), apply(2, 2), apply(4, 0x8000_0000), apply(5, 1)], [1, 1, 1, 3, 1]);
});

t.test('requests and answers are the same after a way through fields and back', async (t) => {
  const fields = [
    ':method',
    'PUT',
    ':scheme',
    'https',
    ':path',
    '/a',
    ':authority',
    'b:1',
    'content-length',
    '3',
    'x',
    'y',
    'x',
    'z',
  ];
  const head = new RequestFields(DEFAULT_LIMITS, false).read(fields, false);
  if ('detail' in head) throw new Error(head.detail);
  t.same(requestFields(head, head.body), fields);
  const answer = [':status', '200', 'content-length', '3', 'set-cookie', 'a', 'set-cookie', 'b'];
  const response = readResponse(answer, false, 'GET');
  if (!(response instanceof ResponseHead)) throw new Error(response.detail);
  t.same(responseFields(response, response.body), answer);
  const bare = readResponse([':status', '304', 'content-length', '9'], true, 'GET');
  if (!(bare instanceof ResponseHead)) throw new Error(bare.detail);
  t.same(
    [bare.body, bare.declaredLength, responseFields(bare, NO_BODY)],
    [NO_BODY, 9, [':status', '304', 'content-length', '9']],
  );
  t.same(responseFields(new ResponseHead(11, 204, 'x', new HeaderList(), NO_BODY, true, 0, '', -1), bodyOfLength(0)), [
    ':status',
    '204',
  ]);
  t.same(readTrailers(['x', 'y', 'host', 'z', 'authorization', 'q']), new HeaderList(['x', 'y']));
  t.same(
    [readTrailers([':path', '/']), readTrailers(['te', 'x\n'])].map((bad) => typeof bad),
    ['string', 'string'],
  );
});

t.test('heads say where the body ends and who is asked', async (t) => {
  const reader = new RequestFields(DEFAULT_LIMITS, true);
  const base = { ':method': 'GET', ':scheme': 'http', ':path': '/', ':authority': 'a' };
  const judge = (change: Record<string, string | null>, endStream = true): string => {
    const merged: Record<string, string | null> = { ...base, ...change };
    const all = Object.entries(merged).flatMap(([name, value]) => (value === null ? [] : [name, value]));
    const head = reader.read(all, endStream);
    if ('detail' in head) return head.kind;
    const { method, path, scheme, authority, body, upgrade, expectContinue } = head;
    return [method, path, scheme, authority, body.kind, upgrade, expectContinue ? 'expects' : ''].join(' ').trim();
  };
  t.same(
    [
      judge({ ':authority': null, host: 'B:80' }),
      judge({ host: 'A:80' }),
      judge({ ':scheme': 'HTTPS', host: 'a:443' }),
      judge({ ':method': 'OPTIONS', ':path': '*' }),
      judge({ 'content-length': '007' }, false),
      judge({ 'content-length': '0' }),
      judge({}, false),
      judge({ expect: '100-Continue' }, false),
      judge({ ':method': 'CONNECT', ':scheme': null, ':path': null, ':authority': 'a:1' }, false),
      judge({ ':method': 'CONNECT', ':protocol': 'websocket' }, false),
    ],
    [
      'GET / http b:80 none',
      'GET / http a none',
      'GET / https a none',
      'OPTIONS * http a none',
      'GET / http a length',
      'GET / http a length',
      'GET / http a chunked',
      'GET / http a chunked  expects',
      'CONNECT a:1 http a:1 chunked',
      'CONNECT / http a chunked websocket',
    ],
  );
  const refused: [Record<string, string | null>, string][] = [
    [{ ':path': `/${'x'.repeat(40_000)}` }, 'uri-too-long'],
    [{ expect: 'more' }, 'unsupported-expectation'],
    ...[
      { ':path': '*' },
      { ':path': '' },
      { ':path': 'http://a/' },
      { ':path': '/a b' },
      { ':path': '/\x80' },
      { ':method': 'G T' },
      { ':method': '' },
      { ':scheme': 'file' },
      { ':authority': 'a/b' },
      { ':authority': 'a, b' },
      { host: 'a:81' },
      { host: 'A@a' },
      { 'content-length': '+1' },
      { 'content-length': '1' },
      { ':protocol': 'websocket' },
      { ':method': 'CONNECT', ':scheme': null, ':path': null },
      { ':method': 'CONNECT', ':protocol': 'web socket' },
      { 'keep-alive': '1' },
      { 'proxy-connection': 'x' },
      { upgrade: 'h2c' },
      { te: 'gzip' },
      { 'x\x7f': '1' },
      { x: 'y\t' },
      { x: '\x7f' },
    ].map((change): [Record<string, string | null>, string] => [change, 'bad-request']),
  ];
  t.same(
    refused.map(([change]) => [change, judge(change)]),
    refused,
  );
});
