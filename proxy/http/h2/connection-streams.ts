/**
 * The streams of a connection, what is paid back to their windows, and the two sizes of error (RFC 9113 5.4).
 * The half of a connection that sends; knows no frame that comes in.
 */
import type { HeadLimits } from '../message.ts';
import { type AbuseLimits, type AbuseReason, type Budget, Budgets } from './abuse.ts';
import { DEFAULT_WINDOW_BYTES, Flow } from './flow-control.ts';
import { goawayFrame, rstStreamFrame, settingsFrame, windowUpdateFrame } from './frame-writer.ts';
import { ERROR, type H2Error, MAX_STREAM_ID, PREFACE } from './frames.ts';
import type { FrameOutput } from './frame-output.ts';
import { Sender, type SenderOwner } from './sender.ts';
import { PeerSettings } from './settings.ts';
import { canReceive, EVENT, nextState, STATE } from './stream-state.ts';
import type { AbortedBy, H2Stream } from './stream.ts';

export interface ConnectionConfig {
  readonly role: 'client' | 'server';
  readonly limits: HeadLimits;
  readonly abuse: AbuseLimits;
  /** What we let the peer have under way, of one stream and of all. */
  readonly streamWindowBytes: number;
  readonly connectionWindowBytes: number;
  /** What we tell of ourselves: identifier, value ... */
  readonly settings: readonly number[];
}

/** The role: server or client. */
export interface ConnectionOwner {
  /** The peer opened a stream. `tooLarge` tells why the fields are not all there. Servers only. */
  onPeerStream(id: number, fields: readonly string[], endStream: boolean, tooLarge: string | null): void;
  onPeerSettings(): void;
  /** A PING of ours is answered. @param payload what it carried */
  onPong(payload: string): void;
  onGoaway(lastStreamId: number, code: number): void;
  /** The stream has left the table, for whatever reason. */
  onStreamGone(stream: H2Stream): void;
  /** The connection is over: GOAWAY is in the output, no stream is left. */
  onConnectionError(error: H2Error): void;
  onAbuse(reason: AbuseReason): void;
}

/** Streams that we reset: what the peer had sent before it knew is no fault. */
const MAX_REMEMBERED_RESETS = 1024;
/** Streams that ended in order, remembered only to name a later fault on them rightly; a power of two. */
const REMEMBERED_ENDS = 64;

export abstract class ConnectionStreams implements SenderOwner {
  readonly streams = new Map<number, H2Stream>();
  readonly peer = new PeerSettings();
  readonly sender: Sender;
  /** The highest stream that the peer opened. */
  lastPeerId = 0;
  /** The highest stream that we opened; clients only. */
  lastOwnId = 0;
  /** Streams of the peer above this one are read over: GOAWAY told so. */
  lastAcceptedId = MAX_STREAM_ID;
  failed = false;
  /** The peer speaks HTTP/2. */
  gotSettings = false;

  protected readonly owner: ConnectionOwner;
  protected readonly isServer: boolean;
  protected readonly flow: Flow;
  protected readonly budgets: Budgets;
  protected nowMs: number;
  /** The stream whose DATA frame is being received. */
  protected dataStream: H2Stream | null = null;
  readonly #config: ConnectionConfig;
  readonly #resets = new Set<number>();
  readonly #ends = new Int32Array(REMEMBERED_ENDS);
  #ended = 0;

  constructor(config: ConnectionConfig, owner: ConnectionOwner, output: FrameOutput, nowMs: number) {
    this.#config = config;
    this.owner = owner;
    this.isServer = config.role === 'server';
    this.nowMs = nowMs;
    this.flow = new Flow(DEFAULT_WINDOW_BYTES, config.connectionWindowBytes);
    this.sender = new Sender(output, this.flow, config.abuse, this);
    this.budgets = new Budgets(config.abuse, nowMs);
  }

  /** Sends what comes first on a connection (RFC 9113 3.4). */
  begin(): void {
    this.sender.frame((this.isServer ? '' : PREFACE) + settingsFrame(this.#config.settings));
    const more = this.#config.connectionWindowBytes - DEFAULT_WINDOW_BYTES;
    if (more > 0) this.sender.frame(windowUpdateFrame(0, more));
  }

  /** The socket takes more. */
  drained(nowMs: number): void {
    this.sender.nowMs = nowMs;
    this.sender.settle();
    this.sender.pump();
  }

  // --- errors ----------------------------------------------------------------------------------------------------

  /** Ends the connection. */
  fail(code: number, detail: string): void {
    if (this.failed) return;
    this.sender.frame(goawayFrame(this.lastPeerId, code, detail));
    this.abandon(detail, this.gotSettings ? 'connection' : 'rules');
    this.owner.onConnectionError({ code, detail });
  }

  /** Ends all streams without a word to the peer. */
  abandon(detail: string, by: AbortedBy): void {
    this.failed = true;
    this.stopReading();
    for (const stream of this.streams.values()) this.abort(stream, ERROR.internal, detail, by);
  }

  protected abstract stopReading(): void;

  onFlood(reason: AbuseReason): void {
    if (this.failed) return;
    this.owner.onAbuse(reason);
    this.fail(ERROR.enhanceYourCalm, `too many ${reason}`);
  }

  /** False: the budget is used up, and the connection is over. */
  protected spend(budget: Budget, reason: AbuseReason): boolean {
    if (budget.spend(this.nowMs)) return true;
    this.onFlood(reason);
    return false;
  }

  /** Ends one stream because the peer broke the rules on it; this spends the budget of resets (CVE-2025-8671). */
  streamError(stream: H2Stream, code: number, detail: string): void {
    this.reset(stream, code);
    this.abort(stream, code, detail, 'rules');
    this.spend(this.budgets.resets, 'resets');
  }

  /** The same for a stream that is not in the table. */
  refuseStream(id: number, code: number): void {
    this.#remember(id);
    this.sender.control(rstStreamFrame(id, code));
    this.spend(this.budgets.resets, 'resets');
  }

  /** Ends one stream for reasons of ours; its owner knows. */
  reset(stream: H2Stream, code: number): void {
    if (this.failed || !this.streams.delete(stream.id)) return;
    this.#remember(stream.id);
    this.sender.reset(stream, code);
    this.#release(stream);
  }

  /** Ends one stream without a frame. */
  protected abort(stream: H2Stream, code: number, detail: string, by: AbortedBy): void {
    stream.state = STATE.closed;
    stream.queue = null;
    if (this.streams.delete(stream.id)) {
      this.#noteEnd(stream.id);
      this.#release(stream);
    }
    stream.onAborted(code, detail, by);
  }

  /** The peer said that it did not look at streams above `id` (RFC 9113 6.8). */
  refuseAbove(id: number): void {
    for (const stream of this.streams.values()) {
      if (stream.id > id)
        this.abort(stream, ERROR.refusedStream, 'the peer went away before it saw the stream', 'peer');
    }
  }

  // --- table -----------------------------------------------------------------------------------------------------

  /** Puts a stream, which has its id, into the table. */
  add(stream: H2Stream): void {
    stream.sendWindow = this.peer.initialWindowBytes;
    this.streams.set(stream.id, stream);
    this.budgets.onStream();
  }

  onStreamDone(stream: H2Stream): void {
    this.streams.delete(stream.id);
    this.#noteEnd(stream.id);
    this.budgets.resets.giveBack(1);
    this.#release(stream);
  }

  /** The peer's side ends. False: it may not, and the stream is gone. To be called before the stream's owner hears of the end. */
  endReceived(stream: H2Stream): boolean {
    if (stream.expectedBytes >= 0 && stream.receivedBytes !== stream.expectedBytes) {
      this.streamError(stream, ERROR.protocol, 'less content than content-length says');
      return false;
    }
    const next = nextState(stream.state, EVENT.receiveEnd);
    if (next === -1) throw new Error('a stream ended that could not receive');
    stream.state = next;
    if (next === STATE.closed) this.onStreamDone(stream);
    return true;
  }

  /** What a stream did not pay back when it ended still belongs to the connection. */
  #release(stream: H2Stream): void {
    if (this.dataStream === stream) this.dataStream = null;
    const withheld = stream.withheldBytes;
    stream.withheldBytes = 0;
    if (withheld > 0 && !this.failed) this.credit(withheld);
    this.owner.onStreamGone(stream);
  }

  #noteEnd(id: number): void {
    this.#ends[this.#ended++ & (REMEMBERED_ENDS - 1)] = id;
  }

  #remember(id: number): void {
    if (this.#resets.size >= MAX_REMEMBERED_RESETS) this.#resets.delete(this.#resets.values().next().value!);
    this.#resets.add(id);
  }

  /** We reset that stream not long ago. */
  protected wasReset(id: number): boolean {
    return this.#resets.has(id);
  }

  /** That stream ended not long ago; else it was passed over when a higher one was opened. */
  protected hasEnded(id: number): boolean {
    return this.#ends.includes(id);
  }

  protected isPeers(id: number): boolean {
    return (id & 1) === (this.isServer ? 1 : 0);
  }

  /** The stream is or was there, or was passed over. */
  protected isUsed(id: number): boolean {
    return id <= (this.isPeers(id) ? this.lastPeerId : this.lastOwnId);
  }

  // --- windows ---------------------------------------------------------------------------------------------------

  /** What the peer may still send, on all streams together. */
  get receiveRoom(): number {
    return this.flow.receiveWindow;
  }

  /** Pays back what was withheld while the consumer did not keep up. */
  resume(stream: H2Stream): void {
    stream.paused = false;
    const withheld = stream.withheldBytes;
    if (withheld === 0 || this.failed) return;
    stream.withheldBytes = 0;
    this.pay(stream, withheld);
  }

  protected pay(stream: H2Stream, bytes: number): void {
    this.credit(bytes);
    if (!canReceive(stream.state)) return;
    const increment = stream.take(bytes);
    if (increment > 0) this.sender.control(windowUpdateFrame(stream.id, increment));
  }

  protected credit(bytes: number): void {
    const increment = this.flow.take(bytes);
    if (increment > 0) this.sender.control(windowUpdateFrame(0, increment));
  }
}
