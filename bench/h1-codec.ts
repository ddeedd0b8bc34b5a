/**
 * Microseconds to parse and to write one HTTP/1.1 head, and to continue its trace: `node bench/h1-codec.ts`.
 * Prints the fastest of many short batches, which a busy machine disturbs least. No sockets: what is left is ours.
 */
import { HeaderList } from '../proxy/http/headers.ts';
import { RequestParser, type RequestSink } from '../proxy/http/h1/request-parser.ts';
import { ResponseParser, type ResponseSink } from '../proxy/http/h1/response-parser.ts';
import { writeRequestHead, writeResponseHead } from '../proxy/http/h1/writer.ts';
import { DEFAULT_LIMITS, type RequestHead, type ResponseHead } from '../proxy/http/message.ts';
import { PooledIds } from '../proxy/telemetry/ids.ts';
import { continueTrace } from '../proxy/telemetry/trace-context.ts';

const REQUEST = Buffer.from(
  [
    'GET /api/v1/users/42?full=true HTTP/1.1',
    'Host: users.shop.svc.cluster.local:8080',
    'User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36',
    'Accept: application/json, text/plain, */*',
    'Accept-Encoding: gzip, deflate, br',
    'Accept-Language: en-US,en;q=0.9',
    'Authorization: Bearer eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0',
    'Connection: keep-alive',
    'X-Request-Id: 9f1c2d6e-1c3b-4f7a-9a57-1f0a8d8d6c11',
    'traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01',
    'Cookie: session=abcdefghijklmnopqrstuvwxyz0123456789',
    '\r\n',
  ].join('\r\n'),
);

const RESPONSE = Buffer.from(
  [
    'HTTP/1.1 200 OK',
    'Content-Type: application/json; charset=utf-8',
    'Content-Length: 2',
    'ETag: W/"2-nOO9QiTIwXgNtWtBJezz8kv3SLc"',
    'Date: Mon, 23 Nov 2026 13:00:00 GMT',
    'Connection: keep-alive',
    'Keep-Alive: timeout=5',
    '',
    '{}',
  ].join('\r\n'),
);

class Sink implements RequestSink, ResponseSink {
  request: RequestHead | null = null;
  response: ResponseHead | null = null;
  bytes = 0;
  onRequestHead(head: RequestHead): void {
    this.request = head;
  }
  onResponseHead(head: ResponseHead): void {
    this.response = head;
  }
  onInterim(): void {}
  onBody(_chunk: Buffer, start: number, end: number): void {
    this.bytes += end - start;
  }
  onTrailers(): void {}
  onMessageEnd(): void {}
}

const BATCH = 5000;
const BATCHES = 120;

function measure(what: string, run: () => void): void {
  let best = Infinity;
  for (let batch = 0; batch < BATCHES; batch++) {
    const before = performance.now();
    for (let i = 0; i < BATCH; i++) run();
    best = Math.min(best, (performance.now() - before) / BATCH);
  }
  console.log(`${what.padEnd(44)} ${(best * 1000).toFixed(2)} us`);
}

const sink = new Sink();
const requests = new RequestParser(sink, DEFAULT_LIMITS);
const responses = new ResponseParser(sink, DEFAULT_LIMITS);
const out = Buffer.alloc(4096);
const ids = new PooledIds();

measure(`parse a request of ${REQUEST.length} bytes, 10 fields`, () => requests.execute(REQUEST, 0, REQUEST.length));
measure(`parse a response of ${RESPONSE.length} bytes, 6 fields`, () => {
  responses.expect('GET');
  responses.execute(RESPONSE, 0, RESPONSE.length);
});
const { request, response } = sink;
if (request === null || response === null) throw new Error('nothing was parsed');
measure('write the request head', () => out.write(writeRequestHead(request, request.body, ''), 'latin1'));
measure('write the response head', () => out.write(writeResponseHead(response, response.body, 'keep-alive'), 'latin1'));
measure('continue a trace', () => continueTrace(request.headers, ids));
measure('begin a trace', () => continueTrace(new HeaderList(['accept', '*/*']), ids));
