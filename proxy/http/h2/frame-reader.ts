/**
 * Bytes to frames (RFC 9113 4): a push parser that copies only where a frame is cut by the end of a read.
 * Knows sizes and padding of DATA; what a frame means, and whether it may come now, is the connection's.
 */
import { DEFAULT_MAX_FRAME_BYTES, ERROR, FLAG, FRAME_HEAD_BYTES, LAST_KNOWN_TYPE, TYPE } from './frames.ts';

export interface FrameSink {
  /** Any frame but DATA, its payload whole in `bytes[start, end)` during the call. Payload of unknown types is left out. */
  onFrame(type: number, flags: number, streamId: number, bytes: Buffer, start: number, end: number): void;
  /** A DATA frame begins. @param lengthBytes with padding: what counts against the windows */
  onDataStart(streamId: number, flags: number, lengthBytes: number): void;
  /** A piece of its content, valid during the call. */
  onDataPiece(chunk: Buffer, start: number, end: number): void;
  onDataEnd(): void;
  /** The bytes are no frames; the reader stops. */
  onBadFrame(code: number, detail: string): void;
}

const EMPTY = Buffer.alloc(0);

const HEAD = 0;
/** Payload that the sink wants whole. */
const WHOLE = 1;
const SKIP = 2;
const PAD_LENGTH = 3;
const DATA = 4;
const PADDING = 5;

export class FrameReader {
  /** Set to read nothing more; what a call was given is then used up silently. */
  stopped = false;

  readonly #sink: FrameSink;
  readonly #head = Buffer.alloc(FRAME_HEAD_BYTES);
  #headBytes = 0;
  #phase = HEAD;
  #type = 0;
  #flags = 0;
  #streamId = 0;
  #lengthBytes = 0;
  /** Bytes that are missing in the present phase. */
  #left = 0;
  #padBytes = 0;
  #partial = EMPTY;

  constructor(sink: FrameSink) {
    this.#sink = sink;
  }

  /** A frame has begun and is not whole; content of DATA may take its time and does not count. */
  get inFrame(): boolean {
    return this.#phase === HEAD ? this.#headBytes > 0 : this.#phase < PAD_LENGTH;
  }

  execute(chunk: Buffer, start: number, end: number): void {
    let at = start;
    while (at < end && !this.stopped) {
      switch (this.#phase) {
        case HEAD:
          at = this.#readHead(chunk, at, end);
          break;
        case WHOLE:
          at = this.#readWhole(chunk, at, end);
          break;
        case PAD_LENGTH:
          this.#readPadLength(chunk[at++]!);
          break;
        case DATA:
          at = this.#readData(chunk, at, end);
          break;
        default:
          at = this.#skip(at, end);
      }
    }
  }

  #readHead(chunk: Buffer, start: number, end: number): number {
    if (this.#headBytes === 0 && end - start >= FRAME_HEAD_BYTES) {
      this.#begin(chunk, start);
      return start + FRAME_HEAD_BYTES;
    }
    let at = start;
    while (at < end && this.#headBytes < FRAME_HEAD_BYTES) this.#head[this.#headBytes++] = chunk[at++]!;
    if (this.#headBytes < FRAME_HEAD_BYTES) return at;
    this.#headBytes = 0;
    this.#begin(this.#head, 0);
    return at;
  }

  #begin(bytes: Buffer, at: number): void {
    const lengthBytes = (bytes[at]! << 16) | (bytes[at + 1]! << 8) | bytes[at + 2]!;
    this.#lengthBytes = lengthBytes;
    this.#type = bytes[at + 3]!;
    this.#flags = bytes[at + 4]!;
    this.#streamId = ((bytes[at + 5]! & 0x7f) << 24) | (bytes[at + 6]! << 16) | (bytes[at + 7]! << 8) | bytes[at + 8]!;
    if (lengthBytes > DEFAULT_MAX_FRAME_BYTES) {
      this.#fail(ERROR.frameSize, 'a frame is larger than SETTINGS_MAX_FRAME_SIZE');
      return;
    }
    this.#left = lengthBytes;
    if (this.#type === TYPE.data) this.#beginData();
    else if (this.#type > LAST_KNOWN_TYPE) {
      this.#phase = lengthBytes === 0 ? HEAD : SKIP;
      this.#sink.onFrame(this.#type, this.#flags, this.#streamId, EMPTY, 0, 0);
    } else if (lengthBytes === 0) this.#sink.onFrame(this.#type, this.#flags, this.#streamId, EMPTY, 0, 0);
    else this.#phase = WHOLE;
  }

  #beginData(): void {
    this.#padBytes = 0;
    this.#sink.onDataStart(this.#streamId, this.#flags, this.#lengthBytes);
    if ((this.#flags & FLAG.padded) === 0) {
      this.#phase = DATA;
      if (this.#left === 0) this.#endData();
    } else if (this.#left === 0) this.#fail(ERROR.frameSize, 'a padded DATA frame has no room for its pad length');
    else this.#phase = PAD_LENGTH;
  }

  #readPadLength(padBytes: number): void {
    this.#left = this.#lengthBytes - 1 - padBytes;
    this.#padBytes = padBytes;
    if (this.#left < 0) this.#fail(ERROR.protocol, 'the padding of a DATA frame is longer than the frame');
    else if (this.#left > 0) this.#phase = DATA;
    else this.#beginPadding();
  }

  #readData(chunk: Buffer, start: number, end: number): number {
    const pieceEnd = Math.min(end, start + this.#left);
    this.#left -= pieceEnd - start;
    this.#sink.onDataPiece(chunk, start, pieceEnd);
    if (this.#left === 0) this.#beginPadding();
    return pieceEnd;
  }

  #beginPadding(): void {
    this.#left = this.#padBytes;
    if (this.#left === 0) this.#endData();
    else this.#phase = PADDING;
  }

  #endData(): void {
    this.#phase = HEAD;
    if (!this.stopped) this.#sink.onDataEnd();
  }

  #skip(start: number, end: number): number {
    const next = Math.min(end, start + this.#left);
    this.#left -= next - start;
    if (this.#left > 0) return next;
    if (this.#phase === PADDING) this.#endData();
    else this.#phase = HEAD;
    return next;
  }

  #readWhole(chunk: Buffer, start: number, end: number): number {
    const lengthBytes = this.#lengthBytes;
    const pieceEnd = Math.min(end, start + this.#left);
    if (pieceEnd - start === lengthBytes) {
      this.#phase = HEAD;
      this.#sink.onFrame(this.#type, this.#flags, this.#streamId, chunk, start, pieceEnd);
      return pieceEnd;
    }
    if (this.#left === lengthBytes) this.#partial = Buffer.allocUnsafe(lengthBytes);
    chunk.copy(this.#partial, lengthBytes - this.#left, start, pieceEnd);
    this.#left -= pieceEnd - start;
    if (this.#left > 0) return pieceEnd;
    const whole = this.#partial;
    this.#partial = EMPTY;
    this.#phase = HEAD;
    this.#sink.onFrame(this.#type, this.#flags, this.#streamId, whole, 0, lengthBytes);
    return pieceEnd;
  }

  #fail(code: number, detail: string): void {
    this.stopped = true;
    this.#sink.onBadFrame(code, detail);
  }
}
