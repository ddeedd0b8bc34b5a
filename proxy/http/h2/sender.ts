/**
 * All that leaves a connection: heads at once, content as windows and socket admit, streams in turn; what answers the peer is counted.
 * Knows no socket: the output gathers, and writes once a turn. Knows nothing of what is received.
 */
import type { AbuseLimits, AbuseReason } from './abuse.ts';
import { DEFAULT_MAX_FRAME_BYTES, FLAG, TYPE } from './frames.ts';
import type { Flow } from './flow-control.ts';
import type { FrameOutput } from './frame-output.ts';
import { frameHead, headersFrames, rstStreamFrame } from './frame-writer.ts';
import { HpackEncoder } from './hpack/encoder.ts';
import { SendQueue } from './send-queue.ts';
import { EVENT, nextState, STATE, type StreamEvent } from './stream-state.ts';
import type { H2Stream } from './stream.ts';

export interface SenderOwner {
  /** Both sides of the stream have ended. */
  onStreamDone(stream: H2Stream): void;
  /** The peer makes us send more than it reads. */
  onFlood(reason: AbuseReason): void;
}

export class Sender {
  maxFrameBytes = DEFAULT_MAX_FRAME_BYTES;
  readonly encoder = new HpackEncoder();
  /** Of the connection's clock; set with each read. */
  nowMs = 0;
  /** DATA frames sent so far. */
  dataFrames = 0;

  readonly #output: FrameOutput;
  readonly #flow: Flow;
  readonly #limits: AbuseLimits;
  readonly #owner: SenderOwner;
  /** Streams with something to send whose own window admits it, and those that wait to write again. */
  #line: H2Stream[] = [];
  #pumping = false;
  #queuedControl = 0;
  #queuedHeadBytes = 0;

  constructor(output: FrameOutput, flow: Flow, limits: AbuseLimits, owner: SenderOwner) {
    this.#output = output;
    this.#flow = flow;
    this.#limits = limits;
    this.#owner = owner;
  }

  /** To be called before a read is handled and when the socket has drained: what was counted has left. */
  settle(): void {
    if (!this.#output.writable) return;
    this.#queuedControl = 0;
    this.#queuedHeadBytes = 0;
  }

  /** A frame that no peer makes us send. */
  frame(text: string): void {
    this.#output.text(text);
    this.#output.flushSoon();
  }

  /** A frame that answers the peer. */
  control(text: string): void {
    this.frame(text);
    if (++this.#queuedControl > this.#limits.maxQueuedControl) this.#owner.onFlood('outbound-control');
  }

  /** Heads and trailers; not subject to windows. */
  fields(stream: H2Stream, fields: readonly string[], endStream: boolean): void {
    if (stream.state === STATE.closed) return;
    const text = headersFrames(this.encoder.encode(fields), stream.id, endStream, this.maxFrameBytes);
    this.frame(text);
    this.#step(stream, EVENT.sendHead);
    if (endStream) this.#step(stream, EVENT.sendEnd);
    if (this.#output.writable) return;
    this.#queuedHeadBytes += text.length;
    if (this.#queuedHeadBytes > this.#limits.maxQueuedHeadBytes) this.#owner.onFlood('outbound-heads');
  }

  /** False: `onWritable` follows when it has left. The bytes are taken all the same. */
  content(stream: H2Stream, chunk: Buffer, start: number, end: number): boolean {
    if (stream.state === STATE.closed) return true;
    let at = start;
    if (stream.queue === null || stream.queue.sizeBytes === 0) {
      while (at < end && this.#output.writable) {
        const size = this.#room(stream, end - at);
        if (size === 0) break;
        this.#frameHead(stream, size, 0);
        this.#output.bytes(chunk, at, at + size);
        at += size;
      }
      if (at > start) this.#output.flushSoon();
    }
    if (at < end) {
      if (stream.queue === null || stream.queue.sizeBytes === 0) stream.stuckSinceMs = this.nowMs;
      (stream.queue ??= new SendQueue()).push(chunk, at, end);
    } else if (this.#output.writable && (stream.queue === null || stream.queue.sizeBytes === 0)) return true;
    this.#join(stream);
    return false;
  }

  /** END_STREAM, after trailers if there are any, once all content has left. */
  end(stream: H2Stream, trailers: readonly string[] | null): void {
    if (stream.state === STATE.closed) return;
    if (stream.queue !== null && stream.queue.sizeBytes > 0) {
      stream.queuedEnd = true;
      stream.queuedTrailers = trailers;
      return;
    }
    if (trailers !== null && trailers.length > 0) {
      this.fields(stream, trailers, true);
      return;
    }
    this.frame(frameHead(0, TYPE.data, FLAG.endStream, stream.id));
    this.#step(stream, EVENT.sendEnd);
  }

  /** Forgets what waits and tells the peer that the stream is over. */
  reset(stream: H2Stream, code: number): void {
    stream.queue = null;
    this.control(rstStreamFrame(stream.id, code));
    this.#step(stream, EVENT.reset);
  }

  /** The window of the stream has opened. */
  unblock(stream: H2Stream): void {
    if (stream.queue !== null && stream.queue.sizeBytes > 0 && stream.sendWindow > 0) this.#join(stream);
  }

  /** Sends what may be sent: a frame of each stream in turn, while windows and socket admit it. */
  pump(): void {
    if (this.#pumping || this.#line.length === 0) return;
    this.#pumping = true;
    // The streams that are told to write go to the end of the line; they get their turn when there is news again.
    let turns = this.#line.length;
    while (turns > 0 && this.#output.writable) {
      const stream = this.#line[0]!;
      const waits = stream.queue !== null && stream.queue.sizeBytes > 0;
      if (waits && this.#flow.sendWindow <= 0) {
        this.#line.push(this.#line.shift()!);
        turns--;
        continue;
      }
      this.#line.shift();
      stream.inLine = false;
      if (waits && this.#sendQueued(stream)) continue;
      turns--;
      if (!waits || stream.queue?.sizeBytes === 0) this.#emptied(stream);
    }
    this.#pumping = false;
  }

  /** True: the stream has more, and stands at the end of the line again. */
  #sendQueued(stream: H2Stream): boolean {
    const queue = stream.queue!;
    const size = this.#room(stream, queue.sizeBytes);
    if (size === 0) return false;
    const isLast = size === queue.sizeBytes && stream.queuedEnd && stream.queuedTrailers === null;
    this.#frameHead(stream, size, isLast ? FLAG.endStream : 0);
    queue.moveTo(this.#output, size);
    this.#output.flushSoon();
    stream.stuckSinceMs = this.nowMs;
    if (queue.sizeBytes > 0 && stream.sendWindow > 0) {
      this.#join(stream);
      return true;
    }
    if (isLast) this.#step(stream, EVENT.sendEnd);
    return false;
  }

  #emptied(stream: H2Stream): void {
    if (stream.state === STATE.closed) return;
    if (!stream.queuedEnd) stream.onWritable();
    else if (stream.queuedTrailers !== null) {
      const trailers = stream.queuedTrailers;
      stream.queuedTrailers = null;
      this.end(stream, trailers);
    }
  }

  /** How many of `wanted` bytes one frame of the stream may hold now. */
  #room(stream: H2Stream, wanted: number): number {
    return Math.max(0, Math.min(wanted, stream.sendWindow, this.#flow.sendWindow, this.maxFrameBytes));
  }

  #frameHead(stream: H2Stream, size: number, flags: number): void {
    this.dataFrames++;
    stream.sendWindow -= size;
    this.#flow.sendWindow -= size;
    this.#output.text(frameHead(size, TYPE.data, flags, stream.id));
  }

  #join(stream: H2Stream): void {
    if (stream.inLine) return;
    stream.inLine = true;
    this.#line.push(stream);
  }

  #step(stream: H2Stream, event: StreamEvent): void {
    const next = nextState(stream.state, event);
    if (next === -1) throw new Error(`a stream may not do ${event} in state ${stream.state}`);
    stream.state = next;
    if (event === EVENT.reset) return;
    if (next === STATE.closed) this.#owner.onStreamDone(stream);
    else if (event === EVENT.sendEnd) stream.onEndSent();
  }
}
