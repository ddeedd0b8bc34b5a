/** Heads written from the model, and how a caller pauses and resumes the parsers. */
import t from 'tap';
import { HeaderList } from '../../../proxy/http/headers.ts';
import { RequestParser } from '../../../proxy/http/h1/request-parser.ts';
import { ResponseParser } from '../../../proxy/http/h1/response-parser.ts';
import {
  bodyToward,
  chunkHead,
  CHUNK_END,
  writeRequestHead,
  writeResponseHead,
  writeTrailers,
} from '../../../proxy/http/h1/writer.ts';
import { BODY_UNTIL_CLOSE, bodyOfLength, CHUNKED_BODY, DEFAULT_LIMITS, NO_BODY } from '../../../proxy/http/message.ts';

const HEADERS = new HeaderList(['x-a', '\xff', 'x-a', '']);

t.test('a request head has Host first, framing from the body, and nothing else of its own', async (t) => {
  const head = { method: 'GET', path: '/p?q', authority: 'a:1', headers: HEADERS, upgrade: 'websocket' };
  t.same(
    [
      writeRequestHead(head, NO_BODY, ''),
      writeRequestHead({ ...head, method: 'POST' }, NO_BODY, 'close'),
      writeRequestHead({ ...head, method: 'POST' }, bodyOfLength(7), 'upgrade'),
      writeRequestHead({ ...head, headers: new HeaderList(['te', 'trailers']) }, CHUNKED_BODY, 'keep-alive'),
    ],
    [
      'GET /p?q HTTP/1.1\r\nhost: a:1\r\nx-a: \xff\r\nx-a: \r\n\r\n',
      'POST /p?q HTTP/1.1\r\nhost: a:1\r\ncontent-length: 0\r\nx-a: \xff\r\nx-a: \r\nconnection: close\r\n\r\n',
      'POST /p?q HTTP/1.1\r\nhost: a:1\r\ncontent-length: 7\r\nx-a: \xff\r\nx-a: \r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n',
      'GET /p?q HTTP/1.1\r\nhost: a:1\r\ntransfer-encoding: chunked\r\nte: trailers\r\nconnection: keep-alive, te\r\n\r\n',
    ],
  );
});

t.test('a response head tells a length exactly where one may be told (RFC 9110 8.6)', async (t) => {
  const none = new HeaderList();
  const write = (status: number, declaredLength: number | undefined, toHead = false): string =>
    writeResponseHead(
      { status, headers: none, ...(declaredLength === undefined ? {} : { declaredLength }) },
      NO_BODY,
      '',
      toHead,
    );
  t.same(
    [
      write(200, undefined),
      write(204, undefined),
      write(304, 5),
      write(304, -1),
      write(200, 9, true),
      write(200, -1, true),
      write(103, undefined),
      write(299, undefined),
    ],
    [
      'HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n',
      'HTTP/1.1 204 No Content\r\n\r\n',
      'HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\n',
      'HTTP/1.1 304 Not Modified\r\n\r\n',
      'HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n',
      'HTTP/1.1 200 OK\r\n\r\n',
      'HTTP/1.1 103 Early Hints\r\n\r\n',
      'HTTP/1.1 299 \r\ncontent-length: 0\r\n\r\n',
    ],
  );
  t.same(
    [
      writeResponseHead({ status: 200, reason: 'Fine', headers: HEADERS }, CHUNKED_BODY, 'keep-alive'),
      writeResponseHead({ status: 101, headers: none, upgrade: 'websocket' }, NO_BODY, 'upgrade'),
      writeResponseHead({ status: 200, headers: none }, bodyToward(10, CHUNKED_BODY), 'close'),
    ],
    [
      'HTTP/1.1 200 Fine\r\ntransfer-encoding: chunked\r\nx-a: \xff\r\nx-a: \r\nconnection: keep-alive\r\n\r\n',
      'HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n',
      'HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n',
    ],
  );
  t.same([bodyToward(11, BODY_UNTIL_CLOSE), bodyToward(10, bodyOfLength(1))], [CHUNKED_BODY, bodyOfLength(1)]);
  t.same(
    [chunkHead(4095), CHUNK_END, writeTrailers(new HeaderList(['grpc-status', '0']))],
    ['fff\r\n', '0\r\n\r\n', '0\r\ngrpc-status: 0\r\n\r\n'],
  );
});

/** Notes what happens, and pauses at the events that are named. */
class Pauser {
  readonly events: string[] = [];
  readonly #pauseAt: string;
  parser: { pause(): void } | null = null;
  constructor(pauseAt: string) {
    this.#pauseAt = pauseAt;
  }
  #note(event: string): void {
    this.events.push(event);
    if (event.startsWith(this.#pauseAt)) this.parser?.pause();
  }
  onRequestHead(): void {
    this.#note('head');
  }
  onResponseHead(): void {
    this.#note('head');
  }
  onInterim(): void {
    this.#note('interim');
  }
  onBody(chunk: Buffer, start: number, end: number): void {
    this.#note(`body ${chunk.toString('latin1', start, end)}`);
  }
  onTrailers(): void {
    this.#note('trailers');
  }
  onMessageEnd(): void {
    this.#note('end');
  }
}

t.test('a paused parser consumes no byte more, yet tells the end of what it has consumed', async (t) => {
  const input = Buffer.from(
    'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n2\r\nyz\r\n0\r\nT: u\r\n\r\nGET',
  );
  const run = (pauseAt: string): (string | number)[] => {
    const sink = new Pauser(pauseAt);
    const parser = new RequestParser(sink, DEFAULT_LIMITS);
    sink.parser = parser;
    const first = parser.execute(input, 0, input.length);
    const before = sink.events.length;
    const again = parser.execute(input, first, input.length);
    parser.resume();
    let at = again;
    while (!sink.events.includes('end')) {
      at = parser.execute(input, at, input.length);
      parser.resume();
    }
    return [...sink.events, before, first - again, at - (input.length - 3)];
  };
  const all = ['head', 'body x', 'body yz', 'trailers', 'end'];
  t.same(['head', 'body', 'trailers', 'end'].map(run), [
    [...all, 1, 0, 0],
    [...all, 2, 0, 0],
    [...all, 5, 0, 0],
    [...all, 5, 0, 0],
  ]);
});

t.test('a body-less request ends at once, even when its head pauses', async (t) => {
  const sink = new Pauser('head');
  const parser = new RequestParser(sink, DEFAULT_LIMITS);
  sink.parser = parser;
  const input = Buffer.from('GET / HTTP/1.1\r\nHost: a\r\n\r\nrest');
  t.equal(parser.execute(input, 0, input.length), input.length - 4);
  t.same(sink.events, ['head', 'end']);
});

t.test('a parser says where it stands', async (t) => {
  const parser = new RequestParser(new Pauser('nothing'), DEFAULT_LIMITS);
  const states = ['', '\r', '\n', 'G', 'ET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r', '\n', 'x'].map((text) => {
    parser.execute(Buffer.from(text), 0, text.length);
    return [parser.isIdle, parser.inHead];
  });
  t.same(states, [
    [true, false],
    [false, false],
    [true, false],
    [false, true],
    [false, true],
    [false, false],
    [true, false],
  ]);
  parser.execute(Buffer.from('\0'), 0, 1);
  const failure = parser.failure;
  t.equal(failure?.kind, 'bad-request');
  t.equal(parser.execute(Buffer.from('GET / HTTP/1.1\r\nHost: a\r\n\r\n'), 0, 27), 0, 'does nothing after a failure');
  t.equal(parser.failure, failure);
});

t.test('an answer that nobody asked for is a failure', async (t) => {
  const sink = new Pauser('interim');
  const parser = new ResponseParser(sink, DEFAULT_LIMITS);
  sink.parser = parser;
  const input = Buffer.from(
    'HTTP/1.1 100 x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n',
  );
  parser.expect('GET');
  t.equal(parser.execute(input, 0, input.length), 18, 'paused at the interim answer');
  parser.resume();
  const at = parser.execute(input, 18, input.length);
  t.same([at, parser.isIdle, parser.finish(), sink.events], [56, true, 'complete', ['interim', 'head', 'end']]);
  parser.execute(input, at, input.length);
  t.same([parser.failure?.kind, parser.finish()], ['upstream-protocol-error', 'truncated']);
});
