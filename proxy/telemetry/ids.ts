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

const POOL_BYTES = 16_384;

export class PooledIds implements IdSource {
  readonly #fill: (pool: Buffer) => void;
  readonly #pool = Buffer.allocUnsafeSlow(POOL_BYTES);
  #at = POOL_BYTES;

  constructor(fill: (pool: Buffer) => void = randomFillSync) {
    this.#fill = fill;
  }

  traceId(): string {
    return this.#hex(16);
  }

  spanId(): string {
    return this.#hex(8);
  }

  requestId(): string {
    const hex = this.#hex(16);
    const variant = '89ab'[Number.parseInt(hex[16]!, 16) & 3]!;
    return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-${variant}${hex.slice(17, 20)}-${hex.slice(20)}`;
  }

  #hex(sizeBytes: number): string {
    if (this.#at + sizeBytes > POOL_BYTES) {
      this.#fill(this.#pool);
      this.#at = 0;
    }
    // All zero means "no id" on the wire; a one in 2^64 chance must still not make an invalid message.
    if (this.#pool[this.#at] === 0) this.#pool[this.#at] = 1;
    const start = this.#at;
    this.#at += sizeBytes;
    return this.#pool.toString('hex', start, this.#at);
  }
}
