/**
 * One HTTP/2 connection of a client, in cleartext or behind TLS: its socket, its timers, its end. Each request on it becomes an exchange through `onRequest`.
 * Knows no route; frames and streams are `http/h2`'s.
 *
 *   open -> draining (GOAWAY that refuses nothing, then the final one) -> closing (nothing is read any more) -> closed
 */
import type { Socket } from 'node:net';
import { Deadline } from '#base/timer-wheel.ts';
import { clientFailure } from '../exchange/failure.ts';
import type { DownstreamSink } from '../exchange/stream.ts';
import { type AbuseLimits, type AbuseReason, DEFAULT_ABUSE_LIMITS } from '../http/h2/abuse.ts';
import type { ConnectionOwner } from '../http/h2/connection-streams.ts';
import { H2Connection } from '../http/h2/connection.ts';
import { goawayFrame, pingFrame } from '../http/h2/frame-writer.ts';
import { ERROR, MAX_STREAM_ID } from '../http/h2/frames.ts';
import { KeepAlive, type KeepAliveOptions, PEER_DEAD, PING_DUE } from '../http/h2/keep-alive.ts';
import { RequestFields } from '../http/h2/request-fields.ts';
import { SETTING } from '../http/h2/settings.ts';
import type { ParseFailure, RequestHead } from '../http/message.ts';
import { beginTurn, endTurn, Output } from '../net/output.ts';
import { takeReads } from '../net/reads.ts';
import { resetSocket } from '../net/reset.ts';
import { H2ServerStream } from './h2-stream.ts';
import type { ConnectionOptions } from './options.ts';
import { lookEveryMs, NO_BODY_DUE, stallText, StallWatch } from './patience.ts';

/** What has a sensible value of its own. */
export interface H2ServerTuning extends KeepAliveOptions {
  readonly maxConcurrentStreams: number;
  readonly streamWindowBytes: number;
  readonly connectionWindowBytes: number;
  /** RFC 8441: CONNECT may name a protocol. */
  readonly extendedConnect: boolean;
  readonly abuse: AbuseLimits;
}

export const DEFAULT_H2_SERVER_TUNING: H2ServerTuning = {
  maxConcurrentStreams: 1000,
  streamWindowBytes: 256 * 1024,
  connectionWindowBytes: 1024 * 1024,
  extendedConnect: false,
  keepAliveIntervalMs: 30_000,
  keepAliveTimeoutMs: 20_000,
  abuse: DEFAULT_ABUSE_LIMITS,
};

export interface H2ServerOptions extends ConnectionOptions {
  readonly tuning: H2ServerTuning;
  readonly onRequest: (stream: H2ServerStream, head: RequestHead) => DownstreamSink;
  /** The connection is ended because the client cost too much; a counter's label. */
  readonly onAbuse: (reason: AbuseReason) => void;
  readonly onClose: (connection: H2Server) => void;
}

/** How long what was written last has to reach the client. */
const LINGER_MS = 1000;
/** The final GOAWAY follows the first by a round trip, or by this. */
const DRAIN_NOTICE_MS = 1000;
const KEEP_ALIVE_PAYLOAD = 'tulle ka';
/** Its answer proves that the client has seen the first GOAWAY. */
const DRAIN_PAYLOAD = 'tulle go';

export class H2Server extends Deadline implements ConnectionOwner {
  readonly #socket: Socket;
  readonly #options: H2ServerOptions;
  readonly #output: Output;
  readonly #connection: H2Connection;
  readonly #fields: RequestFields;
  readonly #keepAlive: KeepAlive;
  readonly #stalls: StallWatch;
  #idleSinceMs: number;
  /** When the first GOAWAY went out; -1: it did not. */
  #drainedMs = -1;
  #finalSent = false;
  #closing = false;
  /** Nothing is waited for any more, but for a moment in which the client may end its side. */
  #lingering = false;
  /** What the client's side of the socket has taken, at the last look; -1: there was none. */
  #takenBytes = -1;

  constructor(socket: Socket, options: H2ServerOptions) {
    super();
    const { tuning, limits } = options;
    const now = options.clock.now();
    this.#socket = socket;
    this.#options = options;
    this.#output = new Output(socket, true);
    this.#fields = new RequestFields(limits, tuning.extendedConnect);
    this.#keepAlive = new KeepAlive(tuning, now);
    this.#stalls = new StallWatch(socket);
    this.#idleSinceMs = now;
    const settings = [SETTING.maxConcurrentStreams, tuning.maxConcurrentStreams];
    settings.push(SETTING.initialWindowSize, tuning.streamWindowBytes, SETTING.maxHeaderListSize, limits.maxHeadBytes);
    if (tuning.extendedConnect) settings.push(SETTING.enableConnectProtocol, 1);
    this.#connection = new H2Connection({ role: 'server', limits, settings, ...tuning }, this, this.#output, now);
    takeReads(socket, (chunk) => this.#onData(chunk));
    socket.on('drain', () => this.#onDrain());
    socket.on('end', () => this.#onClientEnd());
    socket.on('error', () => undefined);
    socket.on('close', () => this.#onClose());
    this.#connection.begin();
    options.wheel.schedule(this, Math.min(options.headTimeoutMs, lookEveryMs(options.patience)));
  }

  get isBusy(): boolean {
    return this.#connection.streams.size > 0;
  }

  /** Takes no new requests once the client knows, and closes after the last answer. Requests under way to us are still answered. */
  drain(): void {
    if (this.#drainedMs >= 0 || this.#closing) return;
    this.#drainedMs = this.#options.clock.now();
    this.#connection.sender.frame(goawayFrame(MAX_STREAM_ID, ERROR.none, '') + pingFrame(DRAIN_PAYLOAD, false));
    this.#arm(DRAIN_NOTICE_MS);
  }

  destroy(): void {
    this.#socket.destroy();
  }

  // --- socket ----------------------------------------------------------------------------------------------------

  #onData(chunk: Buffer): void {
    if (this.#closing) return;
    beginTurn();
    const now = this.#options.clock.now();
    this.#keepAlive.heard(now);
    this.#connection.execute(chunk, now);
    endTurn();
    if (this.#connection.partialSinceMs >= 0) this.#arm(this.#options.headTimeoutMs);
  }

  #onDrain(): void {
    beginTurn();
    this.#connection.drained(this.#options.clock.now());
    endTurn();
  }

  /** A client that has closed its side can allow us nothing more; what it waits for cannot be told apart from what it gave up. */
  #onClientEnd(): void {
    this.#connection.abandon('the client closed the connection', 'connection');
    this.#close(false);
  }

  #onClose(): void {
    this.#closing = true;
    if (this.wheelSlot >= 0) this.#options.wheel.cancel(this);
    this.#connection.abandon('the client closed the connection', 'connection');
    this.#options.onClose(this);
  }

  /** @param patient what the last answers still have in the socket is waited for, as long as the client takes some of it */
  #close(patient: boolean): void {
    if (this.#closing) return;
    this.#closing = true;
    this.#output.flush();
    this.#socket.end(() => {
      if (this.wheelSlot >= 0) this.#linger();
    });
    if (patient) this.#options.wheel.schedule(this, lookEveryMs(this.#options.patience));
    else this.#linger();
  }

  #linger(): void {
    this.#lingering = true;
    this.#options.wheel.schedule(this, LINGER_MS);
  }

  // --- from the connection ---------------------------------------------------------------------------------------

  onPeerStream(id: number, fields: readonly string[], endStream: boolean, tooLarge: string | null): void {
    const { streams } = this.#connection;
    // A stream leaves the table with its exchange, and the exchange gives its upstream work up at once: the table is what is really under way.
    if (streams.size >= this.#options.tuning.maxConcurrentStreams) {
      this.#connection.refuseStream(id, ERROR.refusedStream);
      return;
    }
    if (tooLarge !== null) {
      this.#refuse(id, endStream, { kind: 'headers-too-large', detail: tooLarge });
      return;
    }
    const head = this.#fields.read(fields, endStream);
    if ('detail' in head) this.#refuse(id, endStream, head);
    else this.#newStream(id).start(head, endStream, this.#options.onRequest);
  }

  #newStream(id: number): H2ServerStream {
    const { wheel, tuning } = this.#options;
    if (!this.isBusy && tuning.keepAliveIntervalMs > 0) this.#arm(tuning.keepAliveIntervalMs);
    return new H2ServerStream(this.#connection, wheel, id, tuning.streamWindowBytes);
  }

  /** A malformed request is a stream error (RFC 9113 8.1.1); one that is understood and not wanted gets an answer. */
  #refuse(id: number, endStream: boolean, { kind, detail }: ParseFailure): void {
    const failure = clientFailure(kind, detail);
    this.#options.onRefused(failure);
    if (kind === 'bad-request') this.#connection.refuseStream(id, ERROR.protocol);
    else this.#newStream(id).refuse(failure, endStream);
  }

  onPeerSettings(): void {}

  onPong(payload: string): void {
    if (payload === DRAIN_PAYLOAD) this.#finishDrain();
  }

  /** The client opens no more streams; it waits for the answers to those it has, and closes. */
  onGoaway(): void {}

  onStreamGone(): void {
    if (this.isBusy) return;
    this.#idleSinceMs = this.#options.clock.now();
    if (this.#finalSent) this.#close(true);
  }

  onConnectionError(): void {
    this.#close(false);
  }

  onAbuse(reason: AbuseReason): void {
    this.#options.onAbuse(reason);
  }

  // --- time ------------------------------------------------------------------------------------------------------

  #finishDrain(): void {
    if (this.#drainedMs < 0 || this.#finalSent || this.#closing) return;
    this.#finalSent = true;
    this.#connection.lastAcceptedId = this.#connection.lastPeerId;
    this.#connection.sender.frame(goawayFrame(this.#connection.lastPeerId, ERROR.none, ''));
    if (!this.isBusy) this.#close(true);
  }

  #arm(delayMs: number): void {
    const due = this.#options.clock.now() + delayMs;
    if (this.wheelSlot < 0 || due < this.dueMs) this.#options.wheel.schedule(this, delayMs);
  }

  override onDeadline(): void {
    const now = this.#options.clock.now();
    if (this.#closing) return this.#awaitFlush(now);
    const leftMs = Math.min(this.#headLeft(now), this.#drainLeft(now), this.#idleLeft(now), this.#pingLeft(now));
    if (!this.#closing) this.#options.wheel.schedule(this, Math.max(1, Math.min(leftMs, this.#look(now))));
  }

  /** All is written but the client has yet to take it. */
  #awaitFlush(now: number): void {
    const { patience, onStalled, wheel } = this.#options;
    if (this.#lingering) this.#socket.destroy();
    else if (this.#stalls.find(now, patience, NO_BODY_DUE, 'end') === null) wheel.schedule(this, lookEveryMs(patience));
    else {
      onStalled('answer');
      resetSocket(this.#socket);
    }
  }

  /** Milliseconds until a head, or the preface, has taken too long. */
  #headLeft(now: number): number {
    const { gotSettings, partialSinceMs } = this.#connection;
    const sinceMs = gotSettings ? partialSinceMs : this.#idleSinceMs;
    if (sinceMs < 0) return Number.POSITIVE_INFINITY;
    const leftMs = sinceMs + this.#options.headTimeoutMs - now;
    if (leftMs > 0) return leftMs;
    const detail = `a head was not complete after ${this.#options.headTimeoutMs} ms`;
    this.#options.onRefused(clientFailure('request-header-timeout', detail));
    this.#connection.fail(gotSettings ? ERROR.enhanceYourCalm : ERROR.settingsTimeout, detail);
    return leftMs;
  }

  #drainLeft(now: number): number {
    if (this.#drainedMs < 0 || this.#finalSent) return Number.POSITIVE_INFINITY;
    const leftMs = this.#drainedMs + DRAIN_NOTICE_MS - now;
    if (leftMs <= 0) this.#finishDrain();
    return leftMs;
  }

  #idleLeft(now: number): number {
    if (this.isBusy) return this.#options.idleTimeoutMs;
    const leftMs = this.#idleSinceMs + this.#options.idleTimeoutMs - now;
    if (leftMs <= 0) this.drain();
    return leftMs <= 0 ? DRAIN_NOTICE_MS : leftMs;
  }

  /** A connection without streams costs little until it is idle for too long; one with streams may hold an endpoint. */
  #pingLeft(now: number): number {
    if (!this.isBusy) return Number.POSITIVE_INFINITY;
    if (this.#takesSome()) this.#keepAlive.heard(now);
    const leftMs = this.#keepAlive.ask(now);
    if (leftMs === PEER_DEAD) {
      this.#connection.abandon('the client does not answer PING', 'connection');
      resetSocket(this.#socket);
    }
    if (leftMs !== PING_DUE) return leftMs;
    this.#connection.sender.frame(pingFrame(KEEP_ALIVE_PAYLOAD, false));
    return this.#options.tuning.keepAliveTimeoutMs;
  }

  /** A client that reads slowly gets our PING behind all that waits, and lives all the same. Without anything that waits it must answer. */
  #takesSome(): boolean {
    const waiting = this.#socket.writableLength;
    const before = this.#takenBytes;
    this.#takenBytes = this.#socket.bytesWritten - waiting;
    return waiting > 0 && before >= 0 && before !== this.#takenBytes;
  }

  /** Gives up what the client stands still with. @returns when to look again */
  #look(now: number): number {
    const { patience, onStalled } = this.#options;
    if (this.#stalls.find(now, patience, NO_BODY_DUE, 'data') !== null) {
      onStalled('answer');
      this.#connection.abandon(stallText('answer', patience), 'connection');
      resetSocket(this.#socket);
    }
    for (const stream of this.#connection.streams.values()) {
      if (!(stream instanceof H2ServerStream)) continue;
      const stall = stream.stallOf(now, patience);
      if (stall === null) continue;
      onStalled(stall);
      const detail = stallText(stall, patience);
      if (stall === 'request-body') stream.giveUpBody(detail);
      else this.#connection.streamError(stream, ERROR.cancel, detail);
    }
    return lookEveryMs(patience);
  }
}
