/**
 * One HTTP/1.1 connection to an endpoint: one request at a time, then back to its pool.
 * Knows framing and when the connection can be used again; knows no retry and no choice of endpoint.
 */
import type { Socket } from 'node:net';
import type { Clock } from '#base/clock.ts';
import { Deadline, type TimerWheel } from '#base/timer-wheel.ts';
import type { FailureKind } from '../exchange/failure.ts';
import type { UpstreamSink, UpstreamStream } from '../exchange/stream.ts';
import { ResponseParser, type ResponseSink } from '../http/h1/response-parser.ts';
import { CHUNK_END, CHUNK_TAIL, chunkHead, writeRequestHead, writeTrailers } from '../http/h1/writer.ts';
import type { HeaderList } from '../http/headers.ts';
import type { BodyKind, HeadLimits, RequestHead, ResponseHead } from '../http/message.ts';
import { classifyConnectError, type OpenedSocket } from '../net/connect.ts';
import type { OnData } from '../net/reads.ts';
import { beginTurn, endTurn, Output } from '../net/output.ts';
import { resetSocket } from '../net/reset.ts';

/** The pool, as its connections see it. */
export interface H1Owner {
  /** Connected, or done with a request: free for the next one. */
  onFree(client: H1Client): void;
  /** Gone. `failure` is set when it never was connected. */
  onGone(client: H1Client, failure: { readonly kind: FailureKind; readonly detail: string } | null): void;
}

export interface H1ClientOptions {
  readonly clock: Clock;
  readonly wheel: TimerWheel;
  readonly limits: HeadLimits;
  readonly connectTimeoutMs: number;
  /** An idle connection is closed after this long; below the server's own limit, so that no request meets a closing connection. */
  readonly idleMs: number;
  /** The connection is closed after so many requests (Envoy `max_requests_per_connection`). */
  readonly maxRequests: number;
}

type Sent = 'nothing' | 'head' | 'body';

/** The server said how long it keeps idle connections: stay clear of that moment. */
const KEEP_ALIVE_MARGIN_MS = 1000;

export class H1Client extends Deadline implements ResponseSink, UpstreamStream {
  readonly #socket: Socket;
  readonly #owner: H1Owner;
  readonly #options: H1ClientOptions;
  readonly #parser: ResponseParser;
  readonly #output: Output;
  #sink: UpstreamSink | null = null;
  /** After a 101: the connection carries no request any more. */
  #tunneling = false;
  #connected = false;
  #gone = false;
  #idleMs: number;
  #freeSinceMs = 0;
  #requests = 0;
  #sent: Sent = 'nothing';
  #chunked = false;
  #requestEnded = true;
  #responseEnded = false;
  #serverEnded = false;
  #parsing = false;
  #reusable = true;
  #trailers: HeaderList | null = null;
  #rest: Buffer | null = null;
  #error: NodeJS.ErrnoException | null = null;
  /** Of what was written, at the last look; -1: there was none. */
  #takenBytes = -1;

  constructor(open: (onData: OnData) => OpenedSocket, owner: H1Owner, options: H1ClientOptions) {
    super();
    const { socket, ready } = open((chunk) => this.#onData(chunk));
    this.#socket = socket;
    this.#owner = owner;
    this.#options = options;
    this.#idleMs = options.idleMs;
    this.#parser = new ResponseParser(this, options.limits);
    this.#output = new Output(socket);
    socket.once(ready, () => this.#onConnected());
    socket.on('drain', () => this.#sink?.onUpstreamDrain());
    socket.on('end', () => this.#onServerEnd());
    socket.on('error', (error: NodeJS.ErrnoException) => (this.#error ??= error));
    socket.on('close', () => this.#onClose());
    options.wheel.schedule(this, options.connectTimeoutMs);
  }

  get reused(): boolean {
    return this.#requests > 1;
  }

  /** May take a request now. */
  isUsable(nowMs: number): boolean {
    return (
      !this.#gone &&
      this.#sink === null &&
      !this.#socket.destroyed &&
      this.#socket.readable &&
      nowMs - this.#freeSinceMs < this.#idleMs
    );
  }

  /** Takes a request: `sink` hears of its answer. Only when usable. */
  start(sink: UpstreamSink): UpstreamStream {
    this.#sink = sink;
    this.#requests++;
    this.#sent = 'nothing';
    this.#requestEnded = false;
    this.#responseEnded = false;
    this.#reusable = true;
    this.#trailers = null;
    return this;
  }

  destroy(): void {
    this.#socket.destroy();
  }

  // --- request out -----------------------------------------------------------------------------------------------

  writeHead(head: RequestHead, body: BodyKind): void {
    if (this.#gone) return;
    this.#parser.expect(head.method, head.upgrade);
    this.#chunked = body.kind === 'chunked';
    this.#sent = 'head';
    this.#output.text(writeRequestHead(head, body, head.upgrade === '' ? '' : 'upgrade'));
    this.#output.flushSoon();
  }

  writeData(chunk: Buffer, start: number, end: number): boolean {
    if (this.#gone || this.#requestEnded || start === end) return true;
    this.#sent = 'body';
    const output = this.#output;
    if (this.#chunked) {
      output.text(chunkHead(end - start));
      output.bytes(chunk, start, end);
      output.text(CHUNK_TAIL);
    } else output.bytes(chunk, start, end);
    output.flushSoon();
    return output.writable;
  }

  end(trailers: HeaderList | null): void {
    if (this.#gone || this.#requestEnded) return;
    this.#requestEnded = true;
    if (this.#chunked) this.#output.text(trailers === null ? CHUNK_END : writeTrailers(trailers));
    this.#output.flush();
    if (!this.#tunneling) return;
    this.#socket.end();
    this.#leaveTunnel();
  }

  /** An answer that is refused but whole in the bytes at hand (a short 503) costs no connection: `#parse` decides after reading on. */
  reset(): void {
    this.#sink = null;
    if (this.#tunneling) resetSocket(this.#socket);
    else if (!this.#parsing) this.#socket.destroy();
  }

  pauseResponse(): void {
    this.#parser.pause();
    this.#socket.pause();
  }

  resumeResponse(): void {
    this.#parser.resume();
    if (this.#gone) return;
    const rest = this.#rest;
    this.#rest = null;
    this.#socket.resume();
    if (rest !== null) this.#onData(rest);
    if (this.#serverEnded && this.#rest === null && !this.#tunneling) this.#onServerEnd();
  }

  tunnel(sink: UpstreamSink): void {
    this.#sink = sink;
    this.#tunneling = true;
    this.#chunked = false;
    this.#requestEnded = false;
  }

  /** Both sides have ended: the server has yet to take what was written. */
  #leaveTunnel(): void {
    if (!this.#requestEnded || !this.#serverEnded) return;
    this.#sink = null;
    this.#freeSinceMs = this.#options.clock.now();
    this.#options.wheel.schedule(this, this.#idleMs);
  }

  // --- response in -----------------------------------------------------------------------------------------------

  #onData(chunk: Buffer): void {
    if (this.#tunneling) {
      this.#relay(chunk, 0);
      return;
    }
    if (this.#sink === null) {
      // Nobody asked: a server that speaks first on an idle connection cannot be trusted with the next answer (RFC 9112 9.2).
      this.#socket.destroy();
      return;
    }
    if (this.#rest !== null) {
      this.#rest = Buffer.concat([this.#rest, chunk]);
      return;
    }
    beginTurn();
    this.#parse(chunk);
    endTurn();
  }

  #parse(chunk: Buffer): void {
    this.#parsing = true;
    const used = this.#parser.execute(chunk, 0, chunk.length);
    this.#parsing = false;
    if (this.#parser.failure !== null) {
      this.#fail(this.#parser.failure.kind, this.#parser.failure.detail);
      this.#socket.destroy();
      return;
    }
    if (this.#tunneling) this.#relay(chunk, used);
    else if (this.#responseEnded) this.#complete(used < chunk.length);
    else if (this.#sink === null) this.#socket.destroy();
    else if (used < chunk.length) this.#rest = Buffer.from(chunk.subarray(used));
  }

  #relay(chunk: Buffer, start: number): void {
    beginTurn();
    if (start < chunk.length) this.#sink?.onResponseData(chunk, start, chunk.length);
    endTurn();
  }

  onInterim(head: ResponseHead): void {
    this.#sink?.onInterim(head);
  }

  onResponseHead(head: ResponseHead): void {
    if (!head.keepAlive || head.body.kind === 'until-close') this.#reusable = false;
    if (head.keepAliveTimeoutMs > 0) {
      this.#idleMs = Math.min(this.#options.idleMs, Math.max(0, head.keepAliveTimeoutMs - KEEP_ALIVE_MARGIN_MS));
    }
    this.#sink?.onResponseHead(head);
  }

  onBody(chunk: Buffer, start: number, end: number): void {
    this.#sink?.onResponseData(chunk, start, end);
  }

  onTrailers(trailers: HeaderList): void {
    this.#trailers = trailers;
  }

  onMessageEnd(): void {
    this.#responseEnded = true;
  }

  /** The answer is whole. The connection goes back first, so that a request waiting behind this one can have it. */
  #complete(extraBytes: boolean): void {
    const sink = this.#sink;
    const trailers = this.#trailers;
    this.#sink = null;
    // The client may have put the brake on at the last bytes, and nobody would take it off.
    this.#parser.resume();
    this.#socket.resume();
    const isSpent = this.#requests >= this.#options.maxRequests;
    if (this.#reusable && this.#requestEnded && !extraBytes && !isSpent && !this.#gone) {
      this.#freeSinceMs = this.#options.clock.now();
      if (this.wheelSlot < 0) this.#options.wheel.schedule(this, this.#idleMs);
      this.#owner.onFree(this);
    } else this.#socket.destroy();
    sink?.onResponseEnd(trailers);
  }

  // --- life of the connection ------------------------------------------------------------------------------------

  #onConnected(): void {
    this.#connected = true;
    // In the place of the connect timeout: who wanted the connection may have left meanwhile, and then it is idle from the beginning.
    this.#options.wheel.schedule(this, this.#idleMs);
    this.#freeSinceMs = this.#options.clock.now();
    this.#owner.onFree(this);
  }

  #onServerEnd(): void {
    // Through TLS the end can come with the last bytes, while they wait here for a client that does not keep up.
    this.#serverEnded = true;
    if (this.#tunneling) {
      this.#sink?.onResponseEnd(null);
      this.#leaveTunnel();
      return;
    }
    if (this.#rest !== null) return;
    if (this.#sink === null) {
      this.#socket.destroy();
      return;
    }
    if (this.#parser.finish() === 'complete') this.#complete(true);
    else {
      this.#fail('upstream-reset', 'the server closed the connection within the answer');
      this.#socket.destroy();
    }
  }

  #onClose(): void {
    this.#gone = true;
    this.#options.wheel.cancel(this);
    const code = this.#error?.code ?? 'closed';
    if (!this.#connected) {
      const failure =
        this.#error === null ? { kind: 'connect-failure' as const, detail: code } : classifyConnectError(this.#error);
      this.#owner.onGone(this, failure);
      return;
    }
    this.#owner.onGone(this, null);
    this.#fail('upstream-reset', code);
  }

  #fail(kind: FailureKind, detail: string): void {
    const sink = this.#sink;
    this.#sink = null;
    sink?.onUpstreamFailure(kind, this.#sent, detail);
  }

  override onDeadline(): void {
    if (!this.#connected) {
      this.#error = Object.assign(new Error('connect timeout'), { code: 'ETIMEDOUT' });
      this.#socket.destroy();
      return;
    }
    if (this.#sink !== null) return;
    if (this.#tunneling && this.#takesSome()) {
      this.#options.wheel.schedule(this, this.#idleMs);
      return;
    }
    const restMs = this.#idleMs - (this.#options.clock.now() - this.#freeSinceMs);
    if (restMs <= 0) this.#socket.destroy();
    else this.#options.wheel.schedule(this, restMs);
  }

  /** The server of a tunnel that is over still takes what was written: it is not idle. */
  #takesSome(): boolean {
    const waiting = this.#socket.writableLength;
    const before = this.#takenBytes;
    this.#takenBytes = this.#socket.bytesWritten - waiting;
    return waiting > 0 && before !== this.#takenBytes;
  }
}
