/**
 * Body bytes that the windows or the socket do not admit yet, copied together into few blocks: a thousand tiny pieces cost what one large one does.
 * Knows no frame. Its bound is the writer's patience: a stream with a queue asks for no more until it is empty.
 */
import type { FrameOutput } from './frame-output.ts';

const SMALLEST_BLOCK_BYTES = 1024;
const LARGEST_BLOCK_BYTES = 16_384;

export class SendQueue {
  readonly #blocks: Buffer[] = [];
  /** Of the first block, what was taken; of the last one, what is filled. */
  #taken = 0;
  #filled = 0;
  sizeBytes = 0;

  push(chunk: Buffer, start: number, end: number): void {
    let at = start;
    const tail = this.#blocks.at(-1);
    if (tail !== undefined && this.#filled < tail.length) {
      const copied = chunk.copy(tail, this.#filled, at, end);
      this.#filled += copied;
      at += copied;
    }
    if (at < end) {
      // Blocks grow with what waits, so that a thousand streams with a few bytes each stay small.
      const blockBytes = Math.min(Math.max(this.sizeBytes, SMALLEST_BLOCK_BYTES), LARGEST_BLOCK_BYTES);
      const block = Buffer.allocUnsafeSlow(Math.max(end - at, blockBytes));
      this.#filled = chunk.copy(block, 0, at, end);
      this.#blocks.push(block);
    }
    this.sizeBytes += end - start;
  }

  /** Moves `bytes`, at most `sizeBytes`, to `output`. */
  moveTo(output: Pick<FrameOutput, 'bytes'>, bytes: number): void {
    let left = bytes;
    this.sizeBytes -= bytes;
    while (left > 0) {
      const block = this.#blocks[0]!;
      const blockEnd = this.#blocks.length === 1 ? this.#filled : block.length;
      const end = Math.min(blockEnd, this.#taken + left);
      output.bytes(block, this.#taken, end);
      left -= end - this.#taken;
      this.#taken = end;
      if (end < blockEnd) break;
      this.#blocks.shift();
      this.#taken = 0;
    }
    if (this.#blocks.length === 0) this.#filled = 0;
  }
}
