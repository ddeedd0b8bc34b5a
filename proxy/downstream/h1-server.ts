/**
 * One HTTP/1.1 connection of a client: requests in order, answers in order, one exchange at a time.
 * Knows framing, keep-alive and limits of time; knows no route. What it reads becomes an exchange through `onRequest`.
 *
 *   idle -> head -> exchange (request body | answer, in any order) -> idle | lingering -> closed
 *                                                     101 -> tunnel -> closed
 */
import type { Socket } from 'node:net';
import { Deadline } from '#base/timer-wheel.ts';
import { clientFailure, type Failure } from '../exchange/failure.ts';
import { localAnswer } from '../exchange/local-answer.ts';
import type { DownstreamSink, DownstreamStream } from '../exchange/stream.ts';
import { RequestParser, type RequestSink } from '../http/h1/request-parser.ts';
import { bodyToward, CHUNK_END, CHUNK_TAIL, chunkHead, writeResponseHead, writeTrailers } from '../http/h1/writer.ts';
import type { HeaderList } from '../http/headers.ts';
import {
  BODY_UNTIL_CLOSE,
  CHUNKED_BODY,
  NO_BODY,
  type BodyKind,
  type RequestHead,
  type ResponseHead,
} from '../http/message.ts';
import { settleUpgrade } from '../http/upgrade.ts';
import { beginTurn, endTurn, Output } from '../net/output.ts';
import { takeReads } from '../net/reads.ts';
import { resetSocket } from '../net/reset.ts';
import type { ConnectionOptions } from './options.ts';
import { lookEveryMs, NO_BODY_DUE, type Stall, stallText, StallWatch } from './patience.ts';

export interface H1ServerOptions extends ConnectionOptions {
  readonly onRequest: (connection: H1Server, head: RequestHead) => DownstreamSink;
  readonly onClose: (connection: H1Server) => void;
}

/** After an answer that ends the connection, the rest of the request is read and dropped for so long, that the client can read the answer (RFC 9112 9.6). */
const LINGER_MS = 1000;

/** `flush`: our side is ended, and the client has yet to take what was written. */
type Waiting = 'head' | 'idle' | 'flush' | 'linger';

export class H1Server extends Deadline implements RequestSink, DownstreamStream {
  readonly #socket: Socket;
  readonly #options: H1ServerOptions;
  readonly #parser: RequestParser;
  readonly #output: Output;
  readonly #stalls: StallWatch;
  /** Changes with each request and each piece of its body. */
  #moves = 0;
  #sink: DownstreamSink | null = null;
  #head: RequestHead | null = null;
  #requestDone = true;
  #answerBegun = false;
  #answerDone = false;
  #body: BodyKind = CHUNKED_BODY;
  #close = false;
  /** After a 101: bytes are nobody's requests any more. */
  #tunneling = false;
  /** No byte of the client is looked at any more. */
  #over = false;
  #closed = false;
  #clientEnded = false;
  #feeding = false;
  #rest: Buffer | null = null;
  #waiting: Waiting = 'idle';
  #lastUsedMs: number;

  constructor(socket: Socket, options: H1ServerOptions) {
    super();
    this.#socket = socket;
    this.#options = options;
    this.#parser = new RequestParser(this, options.limits);
    this.#output = new Output(socket);
    this.#stalls = new StallWatch(socket);
    this.#lastUsedMs = options.clock.now();
    takeReads(socket, (chunk) => this.#onData(chunk));
    socket.on('drain', () => this.#onDrain());
    socket.on('end', () => this.#onClientEnd());
    socket.on('error', () => undefined);
    socket.on('close', () => this.#onClose());
    this.#watch('idle');
    // Whoever looked at the first bytes may have seen the end already.
    if (socket.readableEnded) this.#onClientEnd();
  }

  get isBusy(): boolean {
    return this.#sink !== null;
  }

  /** Closes now when idle, after the present answer otherwise. */
  drain(): void {
    this.#close = true;
    if (this.#sink === null && this.#rest === null && this.#parser.isIdle) this.#endConnection();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  // --- bytes in --------------------------------------------------------------------------------------------------

  #onData(chunk: Buffer): void {
    if (this.#over || this.#closed) return;
    if (this.#rest !== null) {
      this.#rest = Buffer.concat([this.#rest, chunk]);
      this.#socket.pause();
      return;
    }
    beginTurn();
    if (this.#tunneling) this.#sink?.onRequestData(chunk, 0, chunk.length);
    else this.#feed(chunk, false);
    endTurn();
  }

  /**
   * Parses until the bytes are used, or the parser stops: at the end of a request whose answer is not done, or paused. A client that
   * takes no answers gets no further request read, or its answers would pile up here (H29).
   * @param isOurs nobody else writes into these bytes: what is not used yet can stay there
   */
  #feed(chunk: Buffer, isOurs: boolean): void {
    this.#feeding = true;
    let at = 0;
    while (at < chunk.length && !this.#over && !this.#closed) {
      if (this.#sink !== null ? this.#requestDone : !this.#output.writable) break;
      const next = this.#parser.execute(chunk, at, chunk.length);
      if (this.#parser.failure !== null) {
        this.#refuse(this.#parser.failure);
        break;
      }
      if (next === at && this.#sink !== null) break;
      at = next;
    }
    this.#feeding = false;
    if (this.#over || this.#closed) return;
    if (at < chunk.length) {
      const rest = chunk.subarray(at);
      this.#rest = isOurs ? rest : Buffer.from(rest);
      this.#socket.pause();
    } else if (this.#parser.inHead && this.#waiting !== 'head') this.#wait('head', this.#options.headTimeoutMs);
  }

  /** Reads on, those bytes first that wait here. */
  #feedRest(): void {
    const rest = this.#rest;
    this.#rest = null;
    this.#socket.resume();
    if (rest === null) return;
    this.#feed(rest, true);
    if (this.#clientEnded && this.#rest === null) this.#onClientEnd();
  }

  #onDrain(): void {
    if (this.#sink !== null) this.#sink.onDownstreamDrain();
    else if (this.#rest !== null && !this.#feeding) this.#feedRest();
  }

  onRequestHead(head: RequestHead): void {
    if (this.#waiting === 'head') this.#watch('idle');
    this.#moves++;
    if (head.upgrade !== '') settleUpgrade(head);
    this.#head = head;
    this.#requestDone = head.body.kind === 'none';
    this.#answerBegun = false;
    this.#answerDone = false;
    if (!head.keepAlive) this.#close = true;
    this.#sink = this.#options.onRequest(this, head);
    // An answer given at once is over before there was a sink to forget.
    if (this.#answerDone) this.#afterAnswer();
  }

  onBody(chunk: Buffer, start: number, end: number): void {
    this.#moves++;
    if (!this.#answerDone) this.#sink?.onRequestData(chunk, start, end);
  }

  onTrailers(trailers: HeaderList | null): void {
    this.#requestDone = true;
    if (!this.#answerDone) this.#sink?.onRequestEnd(trailers);
  }

  onMessageEnd(): void {
    if (!this.#requestDone) this.onTrailers(null);
  }

  // --- answer out ------------------------------------------------------------------------------------------------

  writeInterim(head: ResponseHead): void {
    if (this.#head?.version !== 11 || this.#answerBegun || this.#closed) return;
    this.#output.text(writeResponseHead(head, head.body, ''));
    this.#output.flush();
  }

  writeHead(head: ResponseHead, body: BodyKind): void {
    const request = this.#head;
    if (request === null || this.#closed || this.#answerBegun) return;
    this.#answerBegun = true;
    this.#body = bodyToward(request.version, body);
    if (this.#body.kind === 'until-close') this.#close = true;
    const stays = this.#close ? 'close' : request.version === 10 ? 'keep-alive' : '';
    const toHead = request.method === 'HEAD';
    this.#output.text(writeResponseHead(head, this.#body, head.status === 101 ? 'upgrade' : stays, toHead));
    // An answer of our own has a body whatever was asked; to HEAD only its length is told (RFC 9110 9.3.2).
    if (toHead) this.#body = NO_BODY;
    this.#output.flushSoon();
  }

  writeData(chunk: Buffer, start: number, end: number): boolean {
    if (this.#closed || this.#answerDone || this.#body.kind === 'none' || start === end) return true;
    const output = this.#output;
    if (this.#body.kind === 'chunked') {
      output.text(chunkHead(end - start));
      output.bytes(chunk, start, end);
      output.text(CHUNK_TAIL);
    } else output.bytes(chunk, start, end);
    output.flushSoon();
    return output.writable;
  }

  end(trailers: HeaderList | null): void {
    if (this.#closed || this.#answerDone || !this.#answerBegun) return;
    this.#answerDone = true;
    if (this.#body.kind === 'chunked') this.#output.text(trailers === null ? CHUNK_END : writeTrailers(trailers));
    this.#output.flush();
    if (this.#tunneling) {
      this.#socket.end();
      this.#leaveTunnel();
    } else if (this.#sink !== null) this.#afterAnswer();
  }

  reset(): void {
    if (this.#closed) return;
    this.#sink = null;
    this.#answerDone = true;
    this.#over = true;
    // What was written must arrive, but no clean end may follow it: the client has to see that the answer is cut off.
    this.#output.flush();
    resetSocket(this.#socket);
  }

  pauseRequest(): void {
    this.#parser.pause();
    this.#socket.pause();
  }

  resumeRequest(): void {
    this.#parser.resume();
    if (this.#closed || this.#over) return;
    if (this.#rest !== null && !this.#feeding) this.#feedRest();
    else this.#socket.resume();
  }

  closeAfter(): void {
    this.#close = true;
  }

  tunnel(sink: DownstreamSink): void {
    this.#sink = sink;
    this.#tunneling = true;
    this.#requestDone = false;
    this.#body = BODY_UNTIL_CLOSE;
    const rest = this.#rest;
    this.#rest = null;
    this.#socket.resume();
    if (rest !== null) sink.onRequestData(rest, 0, rest.length);
    if (this.#clientEnded) this.#onClientEnd();
  }

  /** Both sides have ended: the client has yet to take what was written. */
  #leaveTunnel(): void {
    if (!this.#requestDone || !this.#answerDone) return;
    this.#sink = null;
    this.#over = true;
    this.#watch('flush');
  }

  // --- between exchanges -----------------------------------------------------------------------------------------

  #afterAnswer(): void {
    this.#sink = null;
    if (this.#close || !this.#requestDone) {
      this.#endConnection();
      return;
    }
    this.#head = null;
    this.#lastUsedMs = this.#options.clock.now();
    // Nobody drains a body that is over: a brake that its last bytes put on would hold the next request.
    this.#parser.resume();
    if (!this.#feeding) this.#feedRest();
  }

  /** Ends our side. What the client still sends is read and dropped; it has a moment to end its own after it got everything. */
  #endConnection(): void {
    if (this.#over) return;
    this.#over = true;
    this.#rest = null;
    this.#parser.pause();
    this.#output.flush();
    this.#watch('flush');
    this.#socket.end(() => {
      if (!this.#closed) this.#wait('linger', LINGER_MS);
    });
    this.#socket.resume();
  }

  #refuse(failure: Pick<Failure, 'kind' | 'detail'>): void {
    const whole = clientFailure(failure.kind, failure.detail);
    const wasBusy = this.isBusy;
    this.#tellGone(failure.detail);
    if (!wasBusy) this.#options.onRefused(whole);
    if (wasBusy && this.#answerBegun) resetSocket(this.#socket);
    else this.#refuseWith(whole);
  }

  #refuseWith(failure: Failure): void {
    const answer = localAnswer(failure, this.#head);
    this.#output.text(writeResponseHead(answer.head, answer.bodyKind, 'close'));
    this.#output.bytes(answer.body, 0, answer.body.length);
    this.#endConnection();
  }

  #onClientEnd(): void {
    this.#clientEnded = true;
    if (this.#tunneling) {
      this.#requestDone = true;
      this.#sink?.onRequestEnd(null);
      this.#leaveTunnel();
      return;
    }
    // Through TLS the end can come with the last bytes, before those that wait here were looked at.
    if (this.#rest !== null) return;
    if (this.#sink === null) return this.#endConnection();
    // A client that ended its side after a whole request still waits for the answer; in the middle of one it has given up.
    if (!this.#requestDone) {
      this.#tellGone('the connection ended within the request');
      this.#socket.destroy();
    } else this.#close = true;
  }

  #onClose(): void {
    this.#closed = true;
    if (this.wheelSlot >= 0) this.#options.wheel.cancel(this);
    this.#tellGone('the client closed the connection');
    this.#options.onClose(this);
  }

  /** There is nobody to answer any more. */
  #tellGone(detail: string): void {
    const sink = this.#sink;
    this.#sink = null;
    sink?.onDownstreamReset(detail);
  }

  #wait(what: Waiting, delayMs: number): void {
    this.#waiting = what;
    this.#options.wheel.schedule(this, delayMs);
  }

  /** Waits without a bound that is near: for a request, for the end of an exchange, for the client to take what was written. */
  #watch(what: 'idle' | 'flush', leftMs = this.#options.idleTimeoutMs): void {
    this.#wait(what, Math.max(1, Math.min(leftMs, lookEveryMs(this.#options.patience))));
  }

  override onDeadline(): void {
    if (this.#waiting === 'linger') this.#socket.destroy();
    else if (this.#waiting === 'head') {
      const detail = `the request head was not complete after ${this.#options.headTimeoutMs} ms`;
      this.#refuse({ kind: 'request-header-timeout', detail });
    } else this.#look(this.#waiting, this.#options.clock.now());
  }

  #look(what: 'idle' | 'flush', now: number): void {
    const { patience, idleTimeoutMs } = this.#options;
    // A tunnel has a bound of its own, if it has one.
    const awaited = what === 'flush' ? 'end' : this.#tunneling ? 'nothing' : 'data';
    const stall = this.#stalls.find(now, patience, this.#isBodyDue() ? this.#moves : NO_BODY_DUE, awaited);
    if (stall !== null) return this.#giveUp(stall);
    const leftMs = this.#sink === null && what === 'idle' ? this.#lastUsedMs + idleTimeoutMs - now : idleTimeoutMs;
    if (leftMs > 0) this.#watch(what, leftMs);
    else this.#endConnection();
  }

  /** The client has announced more of its body, and we would read it. Behind an answer only a length announces: without, both may talk for hours. */
  #isBodyDue(): boolean {
    if (this.#sink === null || this.#requestDone || this.#tunneling) return false;
    if (this.#rest !== null || this.#socket.isPaused()) return false;
    return !this.#answerBegun || this.#head?.body.kind === 'length';
  }

  #giveUp(stall: Stall): void {
    const detail = stallText(stall, this.#options.patience);
    this.#options.onStalled(stall);
    if (stall === 'request-body') return this.#sink?.fail('request-body-timeout', detail, 'downstream', 'body');
    this.#tellGone(detail);
    resetSocket(this.#socket);
  }
}
