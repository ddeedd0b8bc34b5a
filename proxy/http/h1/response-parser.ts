/**
 * Bytes to answers, as strictly as requests: an upstream is trusted no further (RFC 9112, response splitting).
 * Sans I/O; must be told what was asked, because HEAD, CONNECT and Upgrade change where an answer ends.
 */
import { FIELD } from '../field-names.ts';
import { HeaderList } from '../headers.ts';
import {
  BODY_UNTIL_CLOSE,
  type BodyKind,
  type HeadLimits,
  NO_BODY,
  type ParseFailure,
  ResponseHead,
  hasNoContent,
} from '../message.ts';
import { BodyDecoder, type BodySink } from './body-decoder.ts';
import { Framing, isFailure } from './framing.ts';
import { HeadScanner } from './head-scanner.ts';
import { StatusLine } from './start-line.ts';

export interface ResponseSink extends BodySink {
  onResponseHead(head: ResponseHead): void;
  /** A 1xx other than 101; the final answer is still to come. */
  onInterim(head: ResponseHead): void;
  onMessageEnd(): void;
}

const IDLE = 0;
const HEAD = 1;
const BODY = 2;

/** 1xx answers to one request; more is an attack or a loop (Envoy, nginx: unbounded; RFC 9110 15.2 sets none). */
const MAX_INTERIM = 32;

export class ResponseParser {
  /** Set once; the parser does nothing afterwards. */
  failure: ParseFailure | null = null;

  readonly #sink: ResponseSink;
  readonly #scanner: HeadScanner;
  readonly #line = new StatusLine();
  readonly #framing = new Framing();
  readonly #body: BodyDecoder;
  #phase = IDLE;
  #method = '';
  #upgrade = '';
  #interim = 0;

  constructor(sink: ResponseSink, limits: HeadLimits) {
    this.#sink = sink;
    this.#scanner = new HeadScanner(limits);
    this.#body = new BodyDecoder(sink, this.#scanner);
  }

  /** To be called for each request before its answer is read; `upgrade` as in the request that was sent: a 101 must choose from it. */
  expect(method: string, upgrade = ''): void {
    this.#method = method;
    this.#upgrade = upgrade;
    this.#interim = 0;
    this.#phase = HEAD;
    this.#scanner.begin(this.#line);
  }

  /** No answer is awaited. */
  get isIdle(): boolean {
    return this.#phase === IDLE;
  }

  /** An answer is awaited and its head is not whole, or not begun. */
  get inHead(): boolean {
    return this.#phase === HEAD;
  }

  /** No byte more is consumed. The end of a message whose bytes are all consumed is still told. */
  pause(): void {
    this.#body.paused = true;
  }

  resume(): void {
    this.#body.paused = false;
  }

  /**
   * Reads `chunk[start, end)` up to the end of the awaited answer. Returns the index of the first byte that was not used: after a
   * 101 the tunnel's, after any other answer a reason to close. Bytes that nobody asked for are a failure.
   */
  execute(chunk: Buffer, start: number, end: number): number {
    const body = this.#body;
    let at = start;
    while (this.failure === null && !body.paused && at < end) {
      if (this.#phase === IDLE) this.#refuse('an answer that nobody asked for');
      else if (this.#phase === HEAD) at = this.#readHead(chunk, at, end);
      else at = body.execute(chunk, at, end);
      if (body.failure !== null) this.#refuseAs(body.failure);
      if (this.#phase !== BODY || !body.done) continue;
      this.#end();
      break;
    }
    return at;
  }

  /** The upstream has sent its FIN; to be called after the last byte was read. A body until the end of the connection ends here. */
  finish(): 'complete' | 'truncated' {
    if (this.failure !== null) return 'truncated';
    if (this.#phase === BODY && this.#body.untilClose) this.#end();
    return this.#phase === IDLE ? 'complete' : 'truncated';
  }

  #end(): void {
    this.#phase = IDLE;
    this.#sink.onMessageEnd();
  }

  #readHead(chunk: Buffer, start: number, end: number): number {
    const at = this.#scanner.feed(chunk, start, end);
    if (this.#scanner.failure !== null) this.#refuseAs(this.#scanner.failure);
    else if (this.#scanner.done) this.#deliverHead();
    return at;
  }

  #deliverHead(): void {
    const headers = this.#readFields();
    this.#scanner.release();
    if (this.failure !== null) return;
    const { status, version } = this.#line;
    this.#framing.settle(version);
    const body = this.#judge(status);
    if (isFailure(body)) {
      this.#refuseAs(body);
      return;
    }
    this.#framing.applyTo(headers);
    const head = this.#head(headers, body);
    if (status < 200 && status !== 101) {
      this.#scanner.begin(this.#line);
      if (++this.#interim > MAX_INTERIM) this.#refuse('too many interim answers');
      else this.#sink.onInterim(head);
      return;
    }
    this.#phase = BODY;
    this.#body.begin(body);
    this.#sink.onResponseHead(head);
  }

  #head(headers: HeaderList, body: BodyKind): ResponseHead {
    const { status, version, reason } = this.#line;
    const framing = this.#framing;
    const bare = status < 200 || status === 204;
    const declared = bare || body.kind !== 'none' ? -1 : framing.contentLength;
    // A body announced where none can be: whoever sends it anyway must not have it read as the next answer.
    const announced = bare && (framing.contentLength > 0 || framing.transferEncoding !== null);
    const keepAlive = framing.keepAlive(version) && !announced && status !== 101 && body.kind !== 'until-close';
    const upgrade = status === 101 ? framing.upgrade : '';
    return new ResponseHead(
      version,
      status,
      reason,
      headers,
      body,
      keepAlive,
      framing.keepAliveTimeoutMs,
      upgrade,
      declared,
    );
  }

  #readFields(): HeaderList {
    const { names, spans, count } = this.#scanner;
    const framing = this.#framing;
    const text = this.#scanner.text();
    const fields: string[] = [];
    framing.reset();
    for (let i = 0; i < count; i++) {
      const { name, id } = names[i]!;
      const value = text.substring(spans[i * 2]!, spans[i * 2 + 1]);
      // Host and Expect mean nothing in an answer, and pass as they are.
      if (id === FIELD.other || id === FIELD.host || id === FIELD.expect) fields.push(name, value);
      else {
        const refused = framing.take(id, value);
        if (refused !== null) this.#refuseAs(refused);
      }
    }
    return new HeaderList(fields);
  }

  /** RFC 9112 6.3, in its order. The framing fields must be sound even where they do not count. */
  #judge(status: number): BodyKind | ParseFailure {
    const body = this.#framing.body(this.#line.version, BODY_UNTIL_CLOSE);
    if (isFailure(body)) return body;
    if (status === 101 && !this.#switchesAsAsked()) {
      return { kind: 'upstream-protocol-error', detail: 'a 101 that was not asked for, or to another protocol' };
    }
    if (hasNoContent(status) || this.#method === 'HEAD') return NO_BODY;
    return this.#method === 'CONNECT' && status < 300 ? NO_BODY : body;
  }

  #switchesAsAsked(): boolean {
    const chosen = this.#framing.upgrade.toLowerCase();
    return (
      chosen !== '' &&
      this.#upgrade
        .toLowerCase()
        .split(',')
        .some((offer) => offer.trim() === chosen)
    );
  }

  #refuse(detail: string): void {
    this.failure ??= { kind: 'upstream-protocol-error', detail };
  }

  #refuseAs(cause: ParseFailure): void {
    const tooLarge = cause.kind === 'headers-too-large';
    this.failure ??= {
      kind: tooLarge ? 'response-headers-too-large' : 'upstream-protocol-error',
      detail: cause.detail,
    };
  }
}
