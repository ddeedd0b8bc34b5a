/**
 * Bytes to requests, strictly (RFC 9112): what two readers could understand differently is refused, not repaired.
 * Sans I/O: one message at a time, and the caller decides when the next one is looked at.
 */
import { FIELD } from '../field-names.ts';
import { CR, LF } from '../grammar.ts';
import { HeaderList } from '../headers.ts';
import { type BodyKind, type HeadLimits, NO_BODY, type ParseFailure, RequestHead } from '../message.ts';
import { BodyDecoder, type BodySink } from './body-decoder.ts';
import { Framing, isFailure } from './framing.ts';
import { HeadScanner } from './head-scanner.ts';
import { RequestLine } from './start-line.ts';

export interface RequestSink extends BodySink {
  onRequestHead(head: RequestHead): void;
  onMessageEnd(): void;
}

const IDLE = 0;
const HEAD = 1;
const BODY = 2;

export class RequestParser {
  /** Set once; the parser does nothing afterwards, as nobody knows where the next message would begin. */
  failure: ParseFailure | null = null;

  readonly #sink: RequestSink;
  readonly #scanner: HeadScanner;
  readonly #line: RequestLine;
  readonly #framing = new Framing();
  readonly #body: BodyDecoder;
  #phase = IDLE;
  /** 0, 1 or 2 bytes of the one empty line before a request line that is forgiven (RFC 9112 2.2). */
  #emptyLine = 0;

  constructor(sink: RequestSink, limits: HeadLimits) {
    this.#sink = sink;
    this.#scanner = new HeadScanner(limits);
    this.#line = new RequestLine(limits.maxTargetBytes);
    this.#body = new BodyDecoder(sink, this.#scanner);
  }

  /** Between messages, with nothing held back. */
  get isIdle(): boolean {
    return this.#phase === IDLE && this.#emptyLine !== 1;
  }

  /** A head has begun and is not whole. */
  get inHead(): boolean {
    return this.#phase === HEAD;
  }

  /** From a callback or between calls: no byte more is consumed. The end of a message whose bytes are all consumed is still told. */
  pause(): void {
    this.#body.paused = true;
  }

  resume(): void {
    this.#body.paused = false;
  }

  /** Reads `chunk[start, end)` up to the end of one message at most. Returns the index of the first byte that was not used. */
  execute(chunk: Buffer, start: number, end: number): number {
    const body = this.#body;
    if (this.failure !== null || body.paused || start >= end) return start;
    let at = start;
    if (this.#phase !== BODY) {
      at = this.#readHead(chunk, at, end);
      if (this.#phase !== BODY) return at;
    }
    if (!body.done) at = body.execute(chunk, at, end);
    if (body.failure !== null) this.failure = body.failure;
    else if (body.done) {
      this.#phase = IDLE;
      this.#emptyLine = 0;
      this.#sink.onMessageEnd();
    }
    return at;
  }

  #readHead(chunk: Buffer, start: number, end: number): number {
    let at = start;
    if (this.#phase === IDLE) {
      at = this.#skipEmptyLine(chunk, at, end);
      if (at === end || this.failure !== null) return at;
      this.#phase = HEAD;
      this.#scanner.begin(this.#line);
    }
    at = this.#scanner.feed(chunk, at, end);
    this.failure = this.#scanner.failure;
    if (this.#scanner.done) this.#deliverHead();
    return at;
  }

  #skipEmptyLine(chunk: Buffer, start: number, end: number): number {
    let at = start;
    if (this.#emptyLine === 0 && chunk[at] === CR) {
      this.#emptyLine = 1;
      at++;
    }
    if (this.#emptyLine === 1 && at < end) {
      if (chunk[at] !== LF) this.failure = { kind: 'bad-request', detail: 'bare CR before the request line' };
      this.#emptyLine = 2;
      at++;
    }
    return at;
  }

  #deliverHead(): void {
    const text = this.#scanner.text();
    const headers = this.#readFields(text);
    this.#scanner.release();
    if (this.failure !== null) return;
    this.#framing.settle(this.#line.version);
    const body = this.#judge();
    if (isFailure(body)) {
      this.failure = body;
      return;
    }
    const { method, scheme, authority, version, absoluteForm } = this.#line;
    const framing = this.#framing;
    framing.applyTo(headers);
    this.#phase = BODY;
    this.#body.begin(body);
    this.#sink.onRequestHead(
      new RequestHead(
        method,
        this.#line.pathIn(text),
        scheme,
        authority ?? framing.host ?? '',
        version,
        headers,
        body,
        framing.keepAlive(version),
        framing.expect !== '' && version === 11,
        framing.upgrade,
        absoluteForm,
      ),
    );
  }

  #readFields(text: string): HeaderList {
    const { names, spans, count } = this.#scanner;
    const framing = this.#framing;
    const fields: string[] = [];
    framing.reset();
    for (let i = 0; i < count; i++) {
      const { name, id } = names[i]!;
      const value = text.substring(spans[i * 2]!, spans[i * 2 + 1]);
      if (id !== FIELD.other) this.failure ??= framing.take(id, value);
      if (id === FIELD.other || id === FIELD.expect) fields.push(name, value);
    }
    return new HeaderList(fields);
  }

  /** What can be said only of the whole head: who is asked, how long the body is, what is expected. */
  #judge(): BodyKind | ParseFailure {
    const { host, expect } = this.#framing;
    const { version, authority, method, scheme } = this.#line;
    if (version === 11 && host === null) return { kind: 'bad-request', detail: 'HTTP/1.1 without Host' };
    if (version === 11 && host === '') return { kind: 'bad-request', detail: 'empty Host' };
    if (authority !== null && host !== null && !sameAuthority(authority, host, scheme)) {
      return { kind: 'bad-request', detail: 'the request target and Host name different authorities' };
    }
    const body = this.#framing.body(version, NO_BODY);
    if (isFailure(body)) return body;
    if (method === 'CONNECT' && body.kind !== 'none') return { kind: 'bad-request', detail: 'CONNECT with a body' };
    if (expect !== '' && version === 11 && expect.toLowerCase() !== '100-continue') {
      return { kind: 'unsupported-expectation', detail: 'an expectation other than 100-continue' };
    }
    return body;
  }
}

function sameAuthority(target: string, host: string, scheme: 'http' | 'https'): boolean {
  if (target === host) return true;
  const defaultPort = scheme === 'https' ? ':443' : ':80';
  return (
    (target.endsWith(defaultPort) ? target : target + defaultPort) ===
    (host.endsWith(defaultPort) ? host : host + defaultPort)
  );
}
