/**
 * A header block from its frames to its fields: padding, priority, CONTINUATION, HPACK, each with its bound (RFC 9113 4.3, 6.2, 6.10).
 * Knows no stream; every block must be decoded, also for streams that are refused, or the two tables part.
 */
import type { HeadLimits } from '../message.ts';
import type { AbuseReason } from './abuse.ts';
import { ERROR, FLAG, type H2Error } from './frames.ts';
import { HpackDecoder } from './hpack/decoder.ts';

/** Pseudo-header fields beside the fields that the limits speak of. */
const PSEUDO_FIELDS = 5;
const PRIORITY_BYTES = 5;

export interface BlockLimits {
  readonly maxContinuations: number;
}

export class HeaderBlock {
  /** Of the block that is not whole yet; 0: none is. */
  streamId = 0;
  endStream = false;
  /** The stream named itself as what it depends on (RFC 7540 5.3.1; RFC 9113 leaves it to us). */
  dependsOnItself = false;
  /** Of the last decoded block. Valid until the next one. */
  fields: string[] = [];
  /** Why the fields of the last block are not all there; null: they are. */
  tooLarge: string | null = null;

  readonly #decoder: HpackDecoder;
  readonly #maxBytes: number;
  readonly #maxContinuations: number;
  #pieces: Buffer[] = [];
  #sizeBytes = 0;

  constructor(tableBytes: number, limits: HeadLimits, bounds: BlockLimits) {
    const { maxHeadBytes, maxFields } = limits;
    this.#decoder = new HpackDecoder(tableBytes, { maxListBytes: maxHeadBytes, maxFields: maxFields + PSEUDO_FIELDS });
    // What is a little too large must be read to be answered with 431; what is far too large is an attack.
    this.#maxBytes = 2 * maxHeadBytes;
    this.#maxContinuations = bounds.maxContinuations;
  }

  /** Takes a HEADERS frame. True: the block is whole and in `fields`; false: it goes on. */
  begin(streamId: number, flags: number, bytes: Buffer, start: number, end: number): boolean | H2Error {
    let at = start;
    let stop = end;
    this.dependsOnItself = false;
    this.endStream = (flags & FLAG.endStream) !== 0;
    if ((flags & FLAG.padded) !== 0) {
      if (at === end) return { code: ERROR.frameSize, detail: 'a padded HEADERS frame has no room for its pad length' };
      stop -= bytes[at++]!;
    }
    if ((flags & FLAG.priority) !== 0) {
      if (at + PRIORITY_BYTES > end) return { code: ERROR.frameSize, detail: 'HEADERS is too short for its priority' };
      this.dependsOnItself = (bytes.readUInt32BE(at) & 0x7fff_ffff) === streamId;
      at += PRIORITY_BYTES;
    }
    if (at > stop) return { code: ERROR.protocol, detail: 'the padding of a HEADERS frame is longer than the frame' };
    if ((flags & FLAG.endHeaders) !== 0) return this.#decode(bytes, at, stop);
    this.streamId = streamId;
    this.#pieces = [];
    this.#sizeBytes = 0;
    this.#keep(bytes, at, stop);
    return false;
  }

  /** Takes a CONTINUATION frame of the block that has begun. */
  goOn(flags: number, bytes: Buffer, start: number, end: number): boolean | H2Error | AbuseReason {
    if (this.#pieces.length > this.#maxContinuations) return 'continuation';
    if (this.#sizeBytes + end - start > this.#maxBytes) return 'header-block';
    this.#keep(bytes, start, end);
    if ((flags & FLAG.endHeaders) === 0) return false;
    const whole = Buffer.concat(this.#pieces);
    this.streamId = 0;
    this.#pieces = [];
    return this.#decode(whole, 0, whole.length);
  }

  #keep(bytes: Buffer, start: number, end: number): void {
    this.#pieces.push(Buffer.from(bytes.subarray(start, end)));
    this.#sizeBytes += end - start;
  }

  #decode(bytes: Buffer, start: number, end: number): true | H2Error {
    this.fields = [];
    const failure = this.#decoder.decode(bytes, start, end, this.fields);
    if (failure?.kind === 'compression') return { code: ERROR.compression, detail: failure.detail };
    this.tooLarge = failure === null ? null : failure.detail;
    return true;
  }
}
