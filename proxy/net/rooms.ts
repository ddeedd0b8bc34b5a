/**
 * Buffers for bytes that wait until they are written, used again and again: memory of its own for each piece makes V8 collect its whole heap
 * over and over (measured: a sixth of the CPU of a transfer). Knows no socket beyond its `write`.
 */
import type { Socket } from 'node:net';

/** As much as a read brings. */
const ROOM_BYTES = 65_536;
/** Fewer than these get a buffer of their own size: a peer that takes nothing must not hold a whole room for a few bytes. */
const SMALL_BYTES = 8192;
/** Rooms that wait for use: 2 MiB. */
const MAX_SPARE = 32;
/** Rooms whose bytes a peer has yet to take: 16 MiB. Beyond it bytes get a buffer of their own size, or many slow peers would hold four times what waits for them. */
const MAX_WAITING = 256;

const spare: Room[] = [];
let waiting = 0;

/** A buffer that is filled, written, and filled again when the write is done. */
export class Room {
  readonly #bytes: Buffer = Buffer.allocUnsafeSlow(ROOM_BYTES);
  #filled = 0;

  /** An empty one. */
  static take(): Room {
    return spare.pop() ?? new Room();
  }

  get isFull(): boolean {
    return this.#filled === ROOM_BYTES;
  }

  /** Copies what has room. @returns where the rest begins */
  fill(chunk: Buffer, start: number, end: number): number {
    const taken = chunk.copy(this.#bytes, this.#filled, start, end);
    this.#filled += taken;
    return start + taken;
  }

  /** Writes what is here; the room is not the caller's any more. False: the socket does not keep up, it will emit `drain`. */
  write(socket: Socket): boolean {
    const bytes = this.#bytes.subarray(0, this.#filled);
    if (bytes.length > SMALL_BYTES && waiting < MAX_WAITING) {
      waiting++;
      return socket.write(bytes, this.#written);
    }
    const isTaken = socket.write(Buffer.from(bytes));
    this.#release();
    return isTaken;
  }

  /** Or the socket is gone: either way nobody reads these bytes any more. */
  readonly #written = (): void => {
    waiting--;
    this.#release();
  };

  #release(): void {
    this.#filled = 0;
    if (spare.length < MAX_SPARE) spare.push(this);
  }
}
