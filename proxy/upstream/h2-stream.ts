/**
 * One request on an HTTP/2 connection to an endpoint: the exchange's request to frames, the answer's frames to the exchange.
 * Knows its connection and its sink; knows no socket, no retry and no other stream.
 */
import type { FailureKind } from '../exchange/failure.ts';
import type { UpstreamSink, UpstreamStream } from '../exchange/stream.ts';
import type { HeaderList } from '../http/headers.ts';
import type { H2Connection } from '../http/h2/connection.ts';
import { ERROR, errorWord } from '../http/h2/frames.ts';
import { requestFields } from '../http/h2/request-fields.ts';
import { readResponse, readTrailers } from '../http/h2/response-fields.ts';
import { STATE } from '../http/h2/stream-state.ts';
import { type AbortedBy, H2Stream } from '../http/h2/stream.ts';
import { type BodyKind, NO_BODY, type RequestHead, type ResponseHead } from '../http/message.ts';
import { showSuccess } from '../http/upgrade.ts';
import { ACCEPT_FIELD, KEY_FIELD, WEBSOCKET, websocketAccept } from '../http/websocket.ts';

/** The connection, as its streams see it. */
export interface H2StreamHost {
  readonly connection: H2Connection;
  /** The next id; 0: no stream can be opened any more. */
  takeId(): number;
  /** Calls `onSettled` once the server has told its settings, or never will; at once if it has. */
  whenSettled(stream: H2ClientStream): void;
  /** The stream gives its place free. */
  onStreamOver(stream: H2ClientStream): void;
}

type Sent = 'nothing' | 'head' | 'body';

/** 1xx answers to one request; more is an attack or a loop. As in HTTP/1.1. */
const MAX_INTERIM = 32;

export class H2ClientStream extends H2Stream implements UpstreamStream {
  readonly reused: boolean;
  readonly #host: H2StreamHost;
  #sink: UpstreamSink | null;
  #method = '';
  #sent: Sent = 'nothing';
  /** Nothing more is to be written. */
  #requestEnded = false;
  #heldHead: string[] | null = null;
  #headSeen = false;
  #interims = 0;
  /** The request for another protocol that has no answer yet. */
  #asked: RequestHead | null = null;
  #tunneling = false;
  #serverEnded = false;
  /** What a breach of the rules by the server is to be called. */
  #breachKind: FailureKind = 'upstream-protocol-error';

  constructor(host: H2StreamHost, sink: UpstreamSink, reused: boolean, windowBytes: number) {
    super(0, windowBytes);
    this.#host = host;
    this.#sink = sink;
    this.reused = reused;
  }

  // --- request out -----------------------------------------------------------------------------------------------

  writeHead(head: RequestHead, body: BodyKind): void {
    if (this.#sink === null || this.id !== 0) return;
    const fields = requestFields(head, body);
    this.#method = fields[1]!;
    if (head.upgrade !== '') {
      this.#asked = head;
      this.#heldHead = fields;
      this.#host.whenSettled(this);
    } else if (body.kind === 'length' && body.length === 0) this.#heldHead = fields;
    else this.#open(fields, body.kind === 'none');
  }

  /** RFC 8441 3: a protocol may be named only to a server that said so. */
  onSettled(): void {
    const head = this.#heldHead;
    this.#heldHead = null;
    if (head === null || this.#sink === null) return;
    const { gotSettings, peer } = this.#host.connection;
    if (!gotSettings || peer.connectProtocol) this.#open(head, false);
    else process.nextTick(() => this.#fail('upstream-protocol-error', 'the server takes no extended CONNECT'));
  }

  /** Takes an id and sends the head: ids must go out in order, so none is taken for a head that waits. */
  #open(fields: readonly string[], endStream: boolean): void {
    this.id = this.#host.takeId();
    this.#requestEnded = endStream || this.id === 0;
    if (this.id === 0) {
      // The caller is in the middle of writing; it hears of it when it is done.
      process.nextTick(() => this.#fail('refused-stream', 'the connection takes no more streams'));
      return;
    }
    this.#sent = 'head';
    this.#host.connection.add(this);
    this.#host.connection.sender.fields(this, fields, endStream);
  }

  writeData(chunk: Buffer, start: number, end: number): boolean {
    if (this.#requestEnded || this.#sink === null || start === end) return true;
    this.#sent = 'body';
    return this.#host.connection.sender.content(this, chunk, start, end);
  }

  end(trailers: HeaderList | null): void {
    if (this.#requestEnded || this.#sink === null || this.#asked !== null) return;
    const fields = trailers === null || trailers.size === 0 ? null : trailers.fields;
    const head = this.#heldHead;
    this.#heldHead = null;
    if (head !== null) this.#open(head, fields === null);
    if (this.#requestEnded) return;
    this.#requestEnded = true;
    this.#host.connection.sender.end(this, fields);
    if (this.#serverEnded) this.#sink = null;
  }

  reset(): void {
    if (this.#sink === null) return;
    this.#sink = null;
    this.#leave();
  }

  /** Gives up what is left of the stream, if anything is. */
  #leave(): void {
    if (this.id === 0) this.#host.onStreamOver(this);
    else this.#host.connection.reset(this, ERROR.cancel);
  }

  pauseResponse(): void {
    this.paused = true;
  }

  resumeResponse(): void {
    this.#host.connection.resume(this);
  }

  tunnel(sink: UpstreamSink): void {
    this.#sink = sink;
    this.#tunneling = true;
  }

  // --- response in -----------------------------------------------------------------------------------------------

  override onFields(fields: readonly string[], endStream: boolean, tooLarge: string | null): void {
    if (tooLarge !== null) this.#breach(tooLarge, 'response-headers-too-large');
    else if (this.#tunneling) this.#breach('a header section within a tunnel');
    else if (this.#headSeen) this.#onTrailers(fields, endStream);
    else {
      const head = readResponse(fields, endStream, this.#method);
      if ('detail' in head) this.#breach(head.detail);
      else if (head.status < 200) this.#onInterim(head);
      else this.#onHead(head, endStream);
    }
  }

  #onInterim(head: ResponseHead): void {
    if (++this.#interims > MAX_INTERIM) this.#breach('too many interim answers');
    else this.#sink?.onInterim(head);
  }

  #onHead(head: ResponseHead, endStream: boolean): void {
    this.#headSeen = true;
    const { body } = head;
    if (body.kind !== 'chunked') this.expectedBytes = body.kind === 'length' ? body.length : 0;
    // The place becomes free first, so that a request waiting behind this one can have it.
    if (endStream && !this.#host.connection.endReceived(this)) return;
    if (this.#asked !== null) this.#settleTunnel(head, this.#asked);
    this.#sink?.onResponseHead(head);
    if (endStream) this.#complete(null);
  }

  /** 2xx accepts the protocol, in the model by 101. After any other answer there is nothing to be sent. */
  #settleTunnel(head: ResponseHead, asked: RequestHead): void {
    this.#asked = null;
    if (head.status >= 300) {
      showSuccess(head);
      this.end(null);
      return;
    }
    head.status = 101;
    head.upgrade = asked.upgrade;
    head.body = NO_BODY;
    const key = asked.headers.get(KEY_FIELD);
    if (asked.upgrade !== WEBSOCKET || key === undefined || head.headers.has(ACCEPT_FIELD)) return;
    head.headers.add(ACCEPT_FIELD, websocketAccept(key));
  }

  #onTrailers(fields: readonly string[], endStream: boolean): void {
    if (!endStream) return this.#breach('a second header section that does not end the stream');
    const trailers = readTrailers(fields);
    if (typeof trailers === 'string') return this.#breach(trailers);
    if (this.#host.connection.endReceived(this)) this.#complete(trailers.size === 0 ? null : trailers);
  }

  override onContent(chunk: Buffer, start: number, end: number): void {
    if (this.#headSeen) this.#sink?.onResponseData(chunk, start, end);
    else this.#breach('content before the head of the answer');
  }

  override onContentEnd(): void {
    if (this.#headSeen) this.#complete(null);
    else {
      this.#fail('upstream-protocol-error', 'the stream ended without an answer');
      this.#leave();
    }
  }

  /** The answer is whole. What is left of the request is not wanted any more (RFC 9113 8.1). */
  #complete(trailers: HeaderList | null): void {
    const sink = this.#sink;
    if (this.#tunneling) {
      this.#serverEnded = true;
      if (this.#requestEnded) this.#sink = null;
    } else {
      this.#sink = null;
      if (this.state !== STATE.closed) this.#leave();
    }
    sink?.onResponseEnd(trailers);
  }

  #breach(detail: string, kind: FailureKind = 'upstream-protocol-error'): void {
    this.#breachKind = kind;
    this.#host.connection.streamError(this, ERROR.protocol, detail);
  }

  override onWritable(): void {
    if (!this.#requestEnded) this.#sink?.onUpstreamDrain();
  }

  /** The answer may still take its time. */
  override onEndSent(): void {}

  override onAborted(code: number, detail: string, by: AbortedBy): void {
    if (by === 'rules') this.#fail(this.#breachKind, detail);
    else if (by === 'connection') this.#fail('upstream-reset', detail);
    else if (code === ERROR.refusedStream) {
      this.#sent = 'nothing';
      this.#fail('refused-stream', detail);
    } else this.#fail('upstream-reset', `the server reset the stream: ${errorWord(code)}`);
  }

  #fail(kind: FailureKind, detail: string): void {
    const sink = this.#sink;
    if (sink === null) return;
    this.#sink = null;
    if (this.id === 0) this.#host.onStreamOver(this);
    sink.onUpstreamFailure(kind, this.#sent, detail);
  }
}
