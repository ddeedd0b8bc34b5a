/**
 * One HTTP/2 connection to an endpoint, carrying many requests at once: its socket, its timers, its room for streams.
 * Knows no retry and no choice of endpoint; frames are `http/h2`'s, one request is `h2-stream.ts`'s.
 */
import type { Socket } from 'node:net';
import type { Clock } from '#base/clock.ts';
import { Deadline, type TimerWheel } from '#base/timer-wheel.ts';
import type { FailureKind } from '../exchange/failure.ts';
import type { UpstreamSink, UpstreamStream } from '../exchange/stream.ts';
import { type AbuseLimits, type AbuseReason, DEFAULT_ABUSE_LIMITS } from '../http/h2/abuse.ts';
import type { ConnectionOwner } from '../http/h2/connection-streams.ts';
import { H2Connection } from '../http/h2/connection.ts';
import { goawayFrame, pingFrame } from '../http/h2/frame-writer.ts';
import { ERROR, MAX_STREAM_ID } from '../http/h2/frames.ts';
import { KeepAlive, type KeepAliveOptions, PEER_DEAD, PING_DUE } from '../http/h2/keep-alive.ts';
import { SETTING } from '../http/h2/settings.ts';
import type { H2Stream } from '../http/h2/stream.ts';
import type { HeadLimits } from '../http/message.ts';
import { classifyConnectError, type OpenedSocket } from '../net/connect.ts';
import type { OnData } from '../net/reads.ts';
import { beginTurn, endTurn, Output } from '../net/output.ts';
import { H2ClientStream, type H2StreamHost } from './h2-stream.ts';

/** The pool, as its connections see it. */
export interface H2Owner {
  /** Connected, a stream ended, or the server allows more: `openStream` may succeed again. */
  onCapacity(client: H2Client): void;
  /** Takes no new streams any more; those under way go on, then `onGone` follows. */
  onClosing(client: H2Client): void;
  /** Gone. `failure` is set when it never was connected. */
  onGone(client: H2Client, failure: { readonly kind: FailureKind; readonly detail: string } | null): void;
  /** The server cost more than it may, and was cut off; a counter's label. */
  onAbuse(reason: AbuseReason): void;
}

/** What has a sensible value of its own. */
export interface H2ClientTuning extends KeepAliveOptions {
  /** Also when the server allows more. */
  readonly maxConcurrentStreams: number;
  readonly streamWindowBytes: number;
  readonly connectionWindowBytes: number;
  readonly abuse: AbuseLimits;
}

/** Keep-alive as Linkerd between its proxies; gRPC servers end connections that ping them so often: turn it off towards applications. */
export const DEFAULT_H2_CLIENT_TUNING: H2ClientTuning = {
  maxConcurrentStreams: 1000,
  streamWindowBytes: 256 * 1024,
  connectionWindowBytes: 1024 * 1024,
  keepAliveIntervalMs: 10_000,
  keepAliveTimeoutMs: 3000,
  abuse: DEFAULT_ABUSE_LIMITS,
};

export interface H2ClientOptions {
  readonly clock: Clock;
  readonly wheel: TimerWheel;
  readonly limits: HeadLimits;
  readonly connectTimeoutMs: number;
  /** Without a stream. */
  readonly idleMs: number;
  /** The connection takes no more streams after so many (Envoy `max_requests_per_connection`). */
  readonly maxRequests: number;
  readonly tuning: H2ClientTuning;
}

/** Streams opened before the server has said how many it takes (RFC 9113 6.5.2 recommends that servers take no fewer). */
const STREAMS_BEFORE_SETTINGS = 100;
const LINGER_MS = 1000;
const PING_PAYLOAD = 'tulle/h2';

export class H2Client extends Deadline implements ConnectionOwner, H2StreamHost {
  readonly connection: H2Connection;
  readonly #socket: Socket;
  readonly #owner: H2Owner;
  readonly #options: H2ClientOptions;
  readonly #output: Output;
  readonly #keepAlive: KeepAlive;
  #connected = false;
  /** No new streams: GOAWAY of either side, an error, or no ids left. */
  #closing = false;
  /** Our side has ended. */
  #ended = false;
  #active = 0;
  #opened = 0;
  #idleSinceMs: number;
  #error: NodeJS.ErrnoException | null = null;
  /** Streams that may be opened only if the server's settings say so. */
  readonly #unsettled: H2ClientStream[] = [];

  constructor(open: (onData: OnData) => OpenedSocket, owner: H2Owner, options: H2ClientOptions) {
    super();
    const { tuning, limits, clock } = options;
    const { socket, ready } = open((chunk) => this.#onData(chunk));
    const now = clock.now();
    this.#socket = socket;
    this.#owner = owner;
    this.#options = options;
    this.#output = new Output(socket, true);
    this.#keepAlive = new KeepAlive(tuning, now);
    this.#idleSinceMs = now;
    const settings = [SETTING.enablePush, 0, SETTING.initialWindowSize, tuning.streamWindowBytes];
    settings.push(SETTING.maxHeaderListSize, limits.maxHeadBytes);
    this.connection = new H2Connection({ role: 'client', limits, settings, ...tuning }, this, this.#output, now);
    socket.once(ready, () => this.#onConnected());
    socket.on('drain', () => this.#onDrain());
    socket.on('end', () => this.#onServerEnd());
    socket.on('error', (error: NodeJS.ErrnoException) => (this.#error ??= error));
    socket.on('close', () => this.#onClose());
    options.wheel.schedule(this, options.connectTimeoutMs);
  }

  /** Streams under way. */
  get active(): number {
    return this.#active;
  }

  /** How many more streams may be opened now. */
  get room(): number {
    if (!this.#connected || this.#closing || this.#isSpent || this.#socket.destroyed) return 0;
    const { gotSettings, peer, failed, receiveRoom } = this.connection;
    // Answers that nobody takes hold what the server may send at all: another request would wait for them.
    if (failed || receiveRoom < this.#options.tuning.streamWindowBytes) return 0;
    const theirs = gotSettings ? peer.maxConcurrentStreams : STREAMS_BEFORE_SETTINGS;
    return Math.max(0, Math.min(theirs, this.#options.tuning.maxConcurrentStreams) - this.#active);
  }

  /** Null: no room; `onCapacity` or `onClosing` follows. `sink` hears of the answer. */
  openStream(sink: UpstreamSink): UpstreamStream | null {
    if (this.room === 0) return null;
    if (this.#active++ === 0) this.#awake();
    const reused = this.#opened++ > 0;
    const stream = new H2ClientStream(this, sink, reused, this.#options.tuning.streamWindowBytes);
    // Not yet closing: this stream has still to take its id.
    if (this.#isSpent) this.#owner.onClosing(this);
    return stream;
  }

  /** It has had as many requests as it may. */
  get #isSpent(): boolean {
    return this.#opened >= this.#options.maxRequests;
  }

  /** Takes no new streams, and closes after the last one. */
  close(): void {
    this.#stopOpening();
    this.#endIfDone();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  // --- for streams -----------------------------------------------------------------------------------------------

  takeId(): number {
    const { connection } = this;
    const id = connection.lastOwnId === 0 ? 1 : connection.lastOwnId + 2;
    if (this.#closing || connection.failed || id > MAX_STREAM_ID) return 0;
    connection.lastOwnId = id;
    if (id + 2 > MAX_STREAM_ID) this.#stopOpening();
    return id;
  }

  whenSettled(stream: H2ClientStream): void {
    if (this.connection.gotSettings) stream.onSettled();
    else this.#unsettled.push(stream);
  }

  onStreamOver(_stream: H2Stream): void {
    this.#active--;
    if (this.#active === 0) this.#idleSinceMs = this.#options.clock.now();
    if (this.#closing || this.#isSpent) this.#endIfDone();
    else if (this.#connected) this.#owner.onCapacity(this);
  }

  // --- socket ----------------------------------------------------------------------------------------------------

  #onConnected(): void {
    this.#connected = true;
    this.#idleSinceMs = this.#options.clock.now();
    this.#options.wheel.schedule(this, this.#options.idleMs);
    this.connection.begin();
    this.#owner.onCapacity(this);
  }

  #onData(chunk: Buffer): void {
    if (this.#ended) return;
    beginTurn();
    const now = this.#options.clock.now();
    this.#keepAlive.heard(now);
    this.connection.execute(chunk, now);
    endTurn();
  }

  #onDrain(): void {
    beginTurn();
    this.connection.drained(this.#options.clock.now());
    endTurn();
  }

  #onServerEnd(): void {
    this.#stopOpening();
    this.#ended = true;
    this.connection.abandon('the server closed the connection', 'connection');
    this.#socket.destroy();
  }

  #onClose(): void {
    this.#closing = true;
    this.#ended = true;
    this.#options.wheel.cancel(this);
    this.#settle();
    const code = this.#error?.code ?? 'closed';
    if (this.#connected) {
      this.#owner.onGone(this, null);
      this.connection.abandon(code, 'connection');
      return;
    }
    const never = { kind: 'connect-failure' as const, detail: code };
    this.#owner.onGone(this, this.#error === null ? never : classifyConnectError(this.#error));
  }

  #stopOpening(): void {
    if (this.#closing) return;
    this.#closing = true;
    this.#settle();
    this.#owner.onClosing(this);
  }

  #settle(): void {
    for (const stream of this.#unsettled.splice(0)) stream.onSettled();
  }

  /** Says goodbye when nothing is under way any more. */
  #endIfDone(): void {
    if (this.#active > 0 || this.#ended) return;
    if (!this.#connected) {
      this.#socket.destroy();
      return;
    }
    this.connection.sender.frame(goawayFrame(0, ERROR.none, ''));
    this.#end();
  }

  #end(): void {
    this.#ended = true;
    this.#output.flush();
    this.#socket.end();
    this.#options.wheel.schedule(this, LINGER_MS);
  }

  // --- from the connection ---------------------------------------------------------------------------------------

  /** Push is refused before it comes here. */
  onPeerStream(): void {}

  onPeerSettings(): void {
    this.#settle();
    if (this.room > 0) this.#owner.onCapacity(this);
  }

  onPong(): void {}

  onGoaway(lastStreamId: number): void {
    this.#stopOpening();
    this.connection.refuseAbove(lastStreamId);
    this.#endIfDone();
  }

  onStreamGone(stream: H2Stream): void {
    this.onStreamOver(stream);
  }

  onConnectionError(): void {
    this.#stopOpening();
    if (!this.#ended) this.#end();
  }

  onAbuse(reason: AbuseReason): void {
    this.#owner.onAbuse(reason);
  }

  // --- time ------------------------------------------------------------------------------------------------------

  /** The first stream after a pause: silence counts from here. */
  #awake(): void {
    const { keepAliveIntervalMs } = this.#options.tuning;
    if (keepAliveIntervalMs <= 0) return;
    const now = this.#options.clock.now();
    this.#keepAlive.heard(now);
    if (this.wheelSlot < 0 || now + keepAliveIntervalMs < this.dueMs) {
      this.#options.wheel.schedule(this, keepAliveIntervalMs);
    }
  }

  override onDeadline(): void {
    if (!this.#connected) {
      this.#error = Object.assign(new Error('connect timeout'), { code: 'ETIMEDOUT' });
      this.#socket.destroy();
      return;
    }
    if (this.#ended) {
      this.#socket.destroy();
      return;
    }
    const now = this.#options.clock.now();
    const leftMs = Math.min(this.#idleLeft(now), this.#pingLeft(now));
    if (!this.#ended && !this.#socket.destroyed) this.#options.wheel.schedule(this, Math.max(1, leftMs));
  }

  #idleLeft(now: number): number {
    if (this.#active > 0) return this.#options.idleMs;
    const leftMs = this.#idleSinceMs + this.#options.idleMs - now;
    if (leftMs <= 0) this.close();
    return leftMs;
  }

  #pingLeft(now: number): number {
    if (this.#active === 0) return Number.POSITIVE_INFINITY;
    const leftMs = this.#keepAlive.ask(now);
    if (leftMs === PEER_DEAD) {
      this.#error ??= Object.assign(new Error('no answer to PING'), { code: 'no answer to PING' });
      this.#socket.destroy();
    }
    if (leftMs !== PING_DUE) return leftMs;
    this.connection.sender.frame(pingFrame(PING_PAYLOAD, false));
    return this.#options.tuning.keepAliveTimeoutMs;
  }
}
