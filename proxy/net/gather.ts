/**
 * Bytes for one socket, copied out of read buffers that are used again, and written once in each round of the event loop: through TLS they
 * come in records of 16 KiB, and each write of its own would be a system call. Knows neither where they come from nor what they mean.
 */
import type { Socket } from 'node:net';
import { Room } from './rooms.ts';
import { flushAfterRound, type Flushing } from './round.ts';

export class Gather implements Flushing {
  readonly #to: Socket;
  readonly #onFull: () => void;
  #room: Room | null = null;
  #isDue = false;

  /** @param onFull `to` does not keep up: it will emit `drain` */
  constructor(to: Socket, onFull: () => void) {
    this.#to = to;
    this.#onFull = onFull;
  }

  take(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length) {
      this.#room ??= Room.take();
      at = this.#room.fill(chunk, at, chunk.length);
      if (this.#room.isFull) this.#write();
    }
    if (this.#isDue || this.#room === null) return;
    this.#isDue = true;
    flushAfterRound(this);
  }

  /** For the end of a round only. */
  flushNow(): void {
    this.#isDue = false;
    this.flush();
  }

  /** Writes what is here. Nothing reaches a socket that is closed. */
  flush(): void {
    if (this.#room !== null) this.#write();
  }

  #write(): void {
    const room = this.#room;
    this.#room = null;
    if (room?.write(this.#to) === false) this.#onFull();
  }
}
