/**
 * Ids of traces, spans and requests: random, unguessable, cheap.
 * Entropy is drawn in blocks, as one call to the system costs more than a thousand ids.
 */
import { randomFillSync } from 'node:crypto';

export interface IdSource {
  /** 32 hexadecimal digits in lower case, never all zero. */
  traceId(): string;
  /** 16 hexadecimal digits in lower case, never all zero. */
  spanId(): string;
  /** A version 4 UUID (RFC 9562 5.4). */
  requestId(): string;
}

/** Drawn at once. */
const POOL_BYTES = 16_384;
const TRACE_BYTES = 16;
const SPAN_BYTES = 8;
const UUID_BYTES = 16;
const UUID_LENGTH = 36;
const DASH = 0x2d;
const DIGITS = Buffer.from('0123456789abcdef', 'latin1');

export class PooledIds implements IdSource {
  readonly #fill: (pool: Buffer) => void;
  readonly #pool = Buffer.allocUnsafeSlow(POOL_BYTES);
  #at = POOL_BYTES;
  readonly #uuid = Buffer.alloc(UUID_LENGTH, DASH);

  constructor(fill: (pool: Buffer) => void = randomFillSync) {
    this.#fill = fill;
  }

  traceId(): string {
    return this.#hex(TRACE_BYTES);
  }

  spanId(): string {
    return this.#hex(SPAN_BYTES);
  }

  /** One string, not five and their sum: whoever looks at it would have to join them first. */
  requestId(): string {
    const uuid = this.#uuid;
    const pool = this.#pool;
    const start = this.#draw(UUID_BYTES);
    // Version and variant (RFC 9562 4.1, 4.2).
    pool[start + 6] = (pool[start + 6]! & 0x0f) | 0x40;
    pool[start + 8] = (pool[start + 8]! & 0x3f) | 0x80;
    let to = 0;
    for (let i = 0; i < UUID_BYTES; i++) {
      if (i === 4 || i === 6 || i === 8 || i === 10) to++;
      const byte = pool[start + i]!;
      uuid[to++] = DIGITS[byte >>> 4]!;
      uuid[to++] = DIGITS[byte & 0x0f]!;
    }
    return uuid.latin1Slice(0, UUID_LENGTH);
  }

  #hex(sizeBytes: number): string {
    const start = this.#draw(sizeBytes);
    // All zero means "no id" on the wire; a one in 2^64 chance must still not make an invalid message.
    if (this.#pool[start] === 0) this.#pool[start] = 1;
    return this.#pool.hexSlice(start, start + sizeBytes);
  }

  /** @returns where in the pool so many new bytes lie */
  #draw(sizeBytes: number): number {
    if (this.#at + sizeBytes > POOL_BYTES) {
      this.#fill(this.#pool);
      this.#at = 0;
    }
    const start = this.#at;
    this.#at += sizeBytes;
    return start;
  }
}
