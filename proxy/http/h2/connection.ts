/**
 * What client and server share of one connection: frames in, in their order and bounds (RFC 9113 4 to 6).
 * Sans I/O: bytes come in through `execute`, leave through the output it was given. Knows no socket, no timer, and not what a request is.
 */
import { latin1 } from '../latin1.ts';
import type { ConnectionConfig, ConnectionOwner } from './connection-streams.ts';
import { ConnectionStreams } from './connection-streams.ts';
import { FrameReader, type FrameSink } from './frame-reader.ts';
import { pingFrame, SETTINGS_ACK } from './frame-writer.ts';
import { ERROR, FLAG, PREFACE, TYPE } from './frames.ts';
import { HeaderBlock } from './header-block.ts';
import type { FrameOutput } from './frame-output.ts';
import { HEADER_TABLE_BYTES } from './settings.ts';
import { canReceive, STATE } from './stream-state.ts';

/** How much a DATA frame of ours gives back to the budget of window updates. */
const UPDATES_PER_DATA = 10;

export class H2Connection extends ConnectionStreams implements FrameSink {
  /** Since when a frame or header block is being received that is not whole; -1: none is. */
  partialSinceMs = -1;

  readonly #reader = new FrameReader(this);
  readonly #block: HeaderBlock;
  #prefaceAt: number;
  #frames = 0;
  #partialFrames = -1;
  #dataFlags = 0;
  /** Of the DATA frame at hand, what is not handed on: padding, or all of it. */
  #dataUnused = 0;
  #dataSent = 0;

  constructor(config: ConnectionConfig, owner: ConnectionOwner, output: FrameOutput, nowMs: number) {
    super(config, owner, output, nowMs);
    this.#prefaceAt = this.isServer ? 0 : PREFACE.length;
    this.#block = new HeaderBlock(HEADER_TABLE_BYTES, config.limits, config.abuse);
  }

  /** Reads what came. The bytes are used up during the call. */
  execute(chunk: Buffer, nowMs: number): void {
    this.nowMs = nowMs;
    this.sender.nowMs = nowMs;
    this.sender.settle();
    let at = 0;
    while (this.#prefaceAt < PREFACE.length && at < chunk.length && !this.failed) {
      if (chunk[at++] !== PREFACE.charCodeAt(this.#prefaceAt++)) this.fail(ERROR.protocol, 'not the preface of HTTP/2');
    }
    if (!this.failed) this.#reader.execute(chunk, at, chunk.length);
    this.#notePartial();
  }

  protected override stopReading(): void {
    this.#reader.stopped = true;
  }

  /** The clock of a block runs from its first frame, that of a frame anew with each one. */
  #notePartial(): void {
    if (this.#block.streamId === 0 && !this.#reader.inFrame) this.partialSinceMs = -1;
    else if (this.partialSinceMs < 0 || (this.#block.streamId === 0 && this.#frames !== this.#partialFrames)) {
      this.partialSinceMs = this.nowMs;
      this.#partialFrames = this.#frames;
    }
  }

  /** What may come at all: SETTINGS first, and nothing between the frames of a header block. */
  #mayCome(type: number, flags: number, streamId: number): boolean {
    this.#frames++;
    if (!this.gotSettings && (type !== TYPE.settings || (flags & FLAG.ack) !== 0)) {
      this.fail(ERROR.protocol, 'the first frame is not SETTINGS');
      return false;
    }
    const open = this.#block.streamId;
    if (open !== 0 && (type !== TYPE.continuation || streamId !== open)) {
      this.fail(ERROR.protocol, 'a header block is interrupted');
      return false;
    }
    return true;
  }

  onBadFrame(code: number, detail: string): void {
    this.fail(code, detail);
  }

  onFrame(type: number, flags: number, streamId: number, bytes: Buffer, start: number, end: number): void {
    if (!this.#mayCome(type, flags, streamId)) return;
    switch (type) {
      case TYPE.headers:
        this.#onHeaders(flags, streamId, bytes, start, end);
        return;
      case TYPE.continuation:
        this.#onContinuation(flags, bytes, start, end);
        return;
      case TYPE.windowUpdate:
        this.#onWindowUpdate(streamId, bytes, start, end);
        return;
      case TYPE.rstStream:
        this.#onRstStream(streamId, bytes, start, end);
        return;
      case TYPE.settings:
        this.#onSettings(flags, streamId, bytes, start, end);
        return;
      case TYPE.ping:
        this.#onPing(flags, streamId, bytes, start, end);
        return;
      case TYPE.goaway:
        this.#onGoaway(streamId, bytes, start, end);
        return;
      case TYPE.priority:
        this.#onPriority(streamId, bytes, start, end);
        return;
      case TYPE.pushPromise:
        this.fail(ERROR.protocol, 'PUSH_PROMISE, which nobody asked for');
        return;
      default:
        this.spend(this.budgets.priority, 'priority');
    }
  }

  // --- DATA ------------------------------------------------------------------------------------------------------

  onDataStart(streamId: number, flags: number, lengthBytes: number): void {
    this.dataStream = null;
    this.#dataFlags = flags;
    this.#dataUnused = lengthBytes;
    if (!this.#mayCome(TYPE.data, flags, streamId)) return;
    if (streamId === 0) this.fail(ERROR.protocol, 'DATA on stream 0');
    else if (!this.flow.arrive(lengthBytes)) this.fail(ERROR.flowControl, 'DATA beyond the window of the connection');
    else if (this.#mayBeEmpty(flags, lengthBytes)) this.#beginData(streamId, lengthBytes);
  }

  #mayBeEmpty(flags: number, lengthBytes: number): boolean {
    if (lengthBytes > 0) this.budgets.onData();
    else if ((flags & FLAG.endStream) === 0) return this.spend(this.budgets.emptyData, 'empty-data');
    return true;
  }

  #beginData(streamId: number, lengthBytes: number): void {
    const stream = this.streams.get(streamId);
    if (stream === undefined) this.#dataOnClosed(streamId);
    else if (!canReceive(stream.state))
      this.streamError(stream, ERROR.streamClosed, 'DATA after the end of the stream');
    else if (!stream.arrive(lengthBytes)) this.streamError(stream, ERROR.flowControl, 'DATA beyond the stream window');
    else this.dataStream = stream;
  }

  #dataOnClosed(id: number): void {
    if (!this.isUsed(id)) this.fail(ERROR.protocol, 'DATA on a stream that is idle');
    else if (!this.wasReset(id) && id <= this.lastAcceptedId) this.refuseStream(id, ERROR.streamClosed);
  }

  onDataPiece(chunk: Buffer, start: number, end: number): void {
    const stream = this.dataStream;
    if (stream === null) return;
    const bytes = end - start;
    stream.receivedBytes += bytes;
    if (stream.expectedBytes >= 0 && stream.receivedBytes > stream.expectedBytes) {
      this.streamError(stream, ERROR.protocol, 'more content than content-length says');
      return;
    }
    this.#dataUnused -= bytes;
    stream.onContent(chunk, start, end);
    if (this.failed) return;
    if (stream.paused && stream.state !== STATE.closed) stream.withheldBytes += bytes;
    else this.pay(stream, bytes);
  }

  onDataEnd(): void {
    const stream = this.dataStream;
    const unused = this.#dataUnused;
    this.dataStream = null;
    if (stream === null) {
      if (unused > 0) this.credit(unused);
      return;
    }
    if (unused > 0) this.pay(stream, unused);
    if ((this.#dataFlags & FLAG.endStream) !== 0 && this.endReceived(stream)) stream.onContentEnd();
  }

  // --- HEADERS ---------------------------------------------------------------------------------------------------

  #onHeaders(flags: number, streamId: number, bytes: Buffer, start: number, end: number): void {
    if (streamId === 0) {
      this.fail(ERROR.protocol, 'HEADERS on stream 0');
      return;
    }
    const whole = this.#block.begin(streamId, flags, bytes, start, end);
    if (whole === true) this.#onSection(streamId);
    else if (whole !== false) this.fail(whole.code, whole.detail);
  }

  #onContinuation(flags: number, bytes: Buffer, start: number, end: number): void {
    const streamId = this.#block.streamId;
    if (streamId === 0) {
      this.fail(ERROR.protocol, 'CONTINUATION without a header block');
      return;
    }
    const whole = this.#block.goOn(flags, bytes, start, end);
    if (whole === true) this.#onSection(streamId);
    else if (typeof whole === 'string') this.onFlood(whole);
    else if (whole !== false) this.fail(whole.code, whole.detail);
  }

  /** A header section is here whole. */
  #onSection(id: number): void {
    const { fields, endStream, tooLarge, dependsOnItself } = this.#block;
    const stream = this.streams.get(id);
    if (stream === undefined) this.#sectionOfNew(id);
    else if (dependsOnItself) this.streamError(stream, ERROR.protocol, 'a stream depends on itself');
    else if (canReceive(stream.state)) stream.onFields(fields, endStream, tooLarge);
    else this.streamError(stream, ERROR.streamClosed, 'HEADERS after the end of the stream');
  }

  #sectionOfNew(id: number): void {
    const { fields, endStream, tooLarge, dependsOnItself } = this.#block;
    if (this.isUsed(id)) this.#sectionOfClosed(id);
    else if (!this.isServer || !this.isPeers(id)) this.fail(ERROR.protocol, 'the peer may not open that stream');
    else {
      this.lastPeerId = id;
      if (id > this.lastAcceptedId) return;
      if (dependsOnItself) this.refuseStream(id, ERROR.protocol);
      else this.owner.onPeerStream(id, fields, endStream, tooLarge);
    }
  }

  #sectionOfClosed(id: number): void {
    if (this.wasReset(id) || id > this.lastAcceptedId) return;
    const code = this.hasEnded(id) ? ERROR.streamClosed : ERROR.protocol;
    this.fail(code, 'HEADERS on a stream that is closed');
  }

  // --- the small frames ------------------------------------------------------------------------------------------

  /** False: the frame is not as long as it must be, and the connection is over. */
  #isLong(wanted: number, start: number, end: number): boolean {
    if (end - start === wanted) return true;
    this.fail(ERROR.frameSize, `a frame of ${end - start} bytes must have ${wanted}`);
    return false;
  }

  /** False: the frame must stand on stream 0 and does not, or the other way round. */
  #standsOn(isConnection: boolean, streamId: number): boolean {
    if ((streamId === 0) === isConnection) return true;
    this.fail(ERROR.protocol, 'a frame of the connection on a stream, or of a stream on the connection');
    return false;
  }

  #onWindowUpdate(streamId: number, bytes: Buffer, start: number, end: number): void {
    if (!this.#isLong(4, start, end)) return;
    const sent = this.sender.dataFrames;
    this.budgets.windowUpdates.giveBack((sent - this.#dataSent) * UPDATES_PER_DATA);
    this.#dataSent = sent;
    if (!this.spend(this.budgets.windowUpdates, 'window-updates')) return;
    const increment = bytes.readUInt32BE(start) & 0x7fff_ffff;
    if (streamId === 0) {
      if (increment === 0) this.fail(ERROR.protocol, 'WINDOW_UPDATE by 0');
      else if (!this.flow.allow(increment)) this.fail(ERROR.flowControl, 'the connection window is above 2^31-1');
      else this.sender.pump();
      return;
    }
    const stream = this.streams.get(streamId);
    if (stream === undefined) {
      if (!this.isUsed(streamId)) this.fail(ERROR.protocol, 'WINDOW_UPDATE on a stream that is idle');
    } else if (increment === 0) this.streamError(stream, ERROR.protocol, 'WINDOW_UPDATE by 0');
    else if (!stream.allow(increment)) this.streamError(stream, ERROR.flowControl, 'a stream window is above 2^31-1');
    else {
      this.sender.unblock(stream);
      this.sender.pump();
    }
  }

  #onRstStream(streamId: number, bytes: Buffer, start: number, end: number): void {
    if (!this.#standsOn(false, streamId) || !this.#isLong(4, start, end)) return;
    const stream = this.streams.get(streamId);
    if (stream === undefined) {
      if (!this.isUsed(streamId)) this.fail(ERROR.protocol, 'RST_STREAM on a stream that is idle');
      return;
    }
    // Who has the whole answer and resets what is left of its request costs no more than who ends it.
    const isAnswered = stream.state === STATE.halfClosedLocal;
    this.abort(stream, bytes.readUInt32BE(start), 'the peer reset the stream', 'peer');
    if (this.isServer && !isAnswered) this.spend(this.budgets.resets, 'resets');
  }

  #onSettings(flags: number, streamId: number, bytes: Buffer, start: number, end: number): void {
    if (!this.#standsOn(true, streamId)) return;
    if ((flags & FLAG.ack) !== 0) {
      this.#isLong(0, start, end);
      return;
    }
    if (!this.spend(this.budgets.settings, 'settings')) return;
    const before = this.peer.initialWindowBytes;
    const error = this.peer.apply(bytes, start, end);
    if (error !== null) {
      this.fail(error.code, error.detail);
      return;
    }
    this.gotSettings = true;
    this.sender.encoder.setMaxTableBytes(Math.min(this.peer.headerTableBytes, HEADER_TABLE_BYTES));
    this.sender.control(SETTINGS_ACK);
    if (!this.#moveWindows(this.peer.initialWindowBytes - before)) return;
    this.owner.onPeerSettings();
    this.sender.pump();
  }

  /** RFC 9113 6.9.2: a new initial size counts for streams that are open too. */
  #moveWindows(by: number): boolean {
    if (by === 0) return true;
    for (const stream of this.streams.values()) {
      if (!stream.allow(by)) {
        this.fail(ERROR.flowControl, 'a stream window is above 2^31-1');
        return false;
      }
      this.sender.unblock(stream);
    }
    return true;
  }

  #onPing(flags: number, streamId: number, bytes: Buffer, start: number, end: number): void {
    if (!this.#standsOn(true, streamId) || !this.#isLong(8, start, end)) return;
    const payload = latin1(bytes, start, end);
    if ((flags & FLAG.ack) !== 0) this.owner.onPong(payload);
    else if (this.spend(this.budgets.pings, 'pings')) this.sender.control(pingFrame(payload, true));
  }

  #onGoaway(streamId: number, bytes: Buffer, start: number, end: number): void {
    if (!this.#standsOn(true, streamId)) return;
    if (end - start < 8) this.fail(ERROR.frameSize, 'GOAWAY is shorter than 8 bytes');
    else this.owner.onGoaway(bytes.readUInt32BE(start) & 0x7fff_ffff, bytes.readUInt32BE(start + 4));
  }

  /** RFC 9113 5.3.2: read and left alone; what RFC 7540 forbids stays forbidden. */
  #onPriority(streamId: number, bytes: Buffer, start: number, end: number): void {
    if (!this.#standsOn(false, streamId) || !this.spend(this.budgets.priority, 'priority')) return;
    const isShort = end - start !== 5;
    if (!isShort && (bytes.readUInt32BE(start) & 0x7fff_ffff) !== streamId) return;
    const code = isShort ? ERROR.frameSize : ERROR.protocol;
    const detail = isShort ? 'PRIORITY has not 5 bytes' : 'a stream depends on itself';
    const stream = this.streams.get(streamId);
    if (stream !== undefined) this.streamError(stream, code, detail);
    else if (!this.isUsed(streamId)) this.fail(code, detail);
    else if (isShort) this.refuseStream(streamId, code);
  }
}
