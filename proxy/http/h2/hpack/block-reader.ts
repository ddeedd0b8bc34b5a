/**
 * Reads the two primitives of a header block (RFC 7541 5): integers and texts. Never past its end, never into overflow.
 * Knows neither tables nor fields.
 */
import { latin1 } from '../../latin1.ts';
import { huffmanDecode, maxDecodedBytes } from './huffman.ts';

/** Larger numbers mean nothing in HTTP/2; the bytes allow one of padding beyond what 32 bits need. */
const MAX_INTEGER = 2 ** 32;
const MAX_CONTINUATION_BYTES = 6;

/** Texts of usual length are decoded here; it is shared, as nothing is kept in it. */
const SCRATCH: Buffer = Buffer.allocUnsafeSlow(8192);
const NO_BYTES: Buffer = Buffer.alloc(0);

export class BlockReader {
  bytes: Buffer = NO_BYTES;
  /** Next byte to read, and the end of the block. */
  at = 0;
  end = 0;
  /** Why the last `integer`, `text` or `skipText` failed. */
  failure = '';

  open(bytes: Buffer, start: number, end: number): void {
    this.bytes = bytes;
    this.at = start;
    this.end = end;
  }

  close(): void {
    this.bytes = NO_BYTES;
  }

  /** The integer whose first `prefixBits` are in the byte at hand, which exists; -1 when it is cut off or too large. */
  integer(prefixBits: number): number {
    const full = (1 << prefixBits) - 1;
    const prefix = this.bytes[this.at++]! & full;
    return prefix < full ? prefix : this.#continued(full);
  }

  #continued(prefix: number): number {
    let value = prefix;
    let weight = 1;
    for (let count = 0; count < MAX_CONTINUATION_BYTES; count++) {
      if (this.at === this.end) return this.#fail('a number that is cut off');
      const byte = this.bytes[this.at++]!;
      value += (byte & 0x7f) * weight;
      if (value > MAX_INTEGER) return this.#fail('a number above 2^32');
      if (byte < 0x80) return value;
      weight *= 128;
    }
    return this.#fail('a number of too many bytes');
  }

  /** The next text as latin1; null when it is cut off or its Huffman code is wrong. */
  text(): string | null {
    const isHuffman = this.bytes[this.at]! >= 0x80;
    const length = this.#textLength();
    if (length < 0) return null;
    const start = this.at;
    this.at += length;
    if (!isHuffman) return length === 0 ? '' : latin1(this.bytes, start, this.at);
    const needed = maxDecodedBytes(length);
    const target = needed <= SCRATCH.length ? SCRATCH : Buffer.allocUnsafeSlow(needed);
    const written = huffmanDecode(this.bytes, start, this.at, target);
    if (written >= 0) return latin1(target, 0, written);
    this.#fail('a text with a wrong Huffman code');
    return null;
  }

  /** Passes over the next text without decoding it; false when it is cut off. */
  skipText(): boolean {
    const length = this.#textLength();
    if (length < 0) return false;
    this.at += length;
    return true;
  }

  #textLength(): number {
    if (this.at >= this.end) return this.#fail('a field that is cut off');
    const length = this.integer(7);
    if (length > this.end - this.at) return this.#fail('a text longer than its block');
    return length;
  }

  #fail(why: string): -1 {
    this.failure = why;
    return -1;
  }
}
