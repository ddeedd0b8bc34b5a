/**
 * Bytes both ways between two sockets, untouched: half-close and errors pass over, the slower side brakes the faster one.
 * Knows no protocol.
 */
import type { Socket } from 'node:net';

export interface PipeEnd {
  /** Bytes from `a` to `b`, and back. */
  readonly sent: number;
  readonly received: number;
  /** Empty when both sides ended well. */
  readonly error: string;
}

class Direction {
  bytes = 0;
  readonly #from: Socket;
  readonly #to: Socket;

  constructor(from: Socket, to: Socket) {
    this.#from = from;
    this.#to = to;
  }

  start(): void {
    this.#from.on('data', (chunk: Buffer) => {
      this.bytes += chunk.length;
      if (!this.#to.write(chunk)) this.#from.pause();
    });
    this.#to.on('drain', () => this.#from.resume());
    this.#from.on('end', () => this.#to.end());
    this.#from.resume();
  }
}

/** Joins two connected sockets (both half-open allowed). `onEnd` is called once, when both are closed. */
export function pipe(a: Socket, b: Socket, onEnd: (end: PipeEnd) => void): void {
  const there = new Direction(a, b);
  const back = new Direction(b, a);
  let open = 2;
  let problem = '';
  const onClose = (hadError: boolean, other: Socket): void => {
    // A reset on one side is a reset for the other: a clean end would make a cut-off message look whole.
    if (hadError) other.resetAndDestroy();
    open--;
    if (open === 0) onEnd({ sent: there.bytes, received: back.bytes, error: problem });
    else if (!other.destroyed && other.readableEnded) other.end();
  };
  const onError = (error: NodeJS.ErrnoException): void => {
    if (problem === '') problem = error.code ?? error.message;
  };
  a.on('error', onError);
  b.on('error', onError);
  a.once('close', (hadError) => onClose(hadError, b));
  b.once('close', (hadError) => onClose(hadError, a));
  there.start();
  back.start();
}
