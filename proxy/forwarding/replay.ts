/**
 * The request body as far as it came, kept while another try may need it, up to a bound.
 * Knows no request and no retry rule.
 */
import type { UpstreamStream } from '../exchange/stream.ts';

export class Replay {
  readonly #limitBytes: number;
  readonly #pieces: Buffer[] = [];
  #bytes = 0;
  /** Everything that came is here: another try can be made. */
  isWhole = true;

  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** The body has to wait: nothing more should come before it is sent. */
  get isFull(): boolean {
    return this.#bytes >= this.#limitBytes;
  }

  /** Keeps a copy: pieces are valid only during the call, and a small piece must not hold a large read buffer. */
  keep(chunk: Buffer, start: number, end: number): void {
    this.#pieces.push(Buffer.from(chunk.subarray(start, end)));
    this.#bytes += end - start;
  }

  /** Sends all that is kept. False: the stream wants to be waited for. */
  sendTo(stream: UpstreamStream): boolean {
    let writable = true;
    for (const piece of this.#pieces) writable = stream.writeData(piece, 0, piece.length);
    return writable;
  }

  /** No other try will be made: forgets what is kept. */
  release(): void {
    this.#pieces.length = 0;
    this.#bytes = 0;
    this.isWhole = false;
  }
}
