/**
 * Bytes both ways between two sockets, untouched: half-close and errors pass over, the slower side brakes the faster one.
 * Knows no protocol.
 */
import type { Socket } from 'node:net';
import { Gather } from './gather.ts';
import { takeReads } from './reads.ts';
import { resetSocket } from './reset.ts';

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
  readonly #gather: Gather;

  constructor(from: Socket, to: Socket) {
    this.#from = from;
    this.#to = to;
    this.#gather = new Gather(to, () => from.pause());
  }

  /** @param early bytes that were read already, of a client whose end was seen with them */
  start(early: Buffer | null): void {
    if (early !== null) {
      this.bytes += early.length;
      this.#to.write(early);
    }
    takeReads(this.#from, (chunk) => {
      this.bytes += chunk.length;
      this.#gather.take(chunk);
    });
    this.#to.on('drain', () => this.#from.resume());
    if (this.#from.readableEnded) this.#to.end();
    else this.#from.once('end', () => this.#end());
    this.#from.resume();
  }

  /** What came must go on, however its sender closed. */
  flush(): void {
    this.#gather.flush();
  }

  #end(): void {
    this.#gather.flush();
    this.#to.end();
  }
}

/** Joins two connected sockets (both half-open allowed). `onEnd` is called once, when both are closed. */
export function pipe(a: Socket, b: Socket, early: Buffer | null, onEnd: (end: PipeEnd) => void): void {
  const there = new Direction(a, b);
  const back = new Direction(b, a);
  let open = 2;
  let problem = '';
  const onClose = (self: Socket, other: Socket): void => {
    // Whoever closes without having ended both ways was cut off, by the peer or by us: the other must not take that for a clean end.
    if (!self.readableEnded || !self.writableFinished) resetSocket(other);
    open--;
    if (open === 0) onEnd({ sent: there.bytes, received: back.bytes, error: problem });
  };
  const onError = (error: NodeJS.ErrnoException): void => {
    if (problem === '') problem = error.code ?? error.message;
  };
  a.on('error', onError);
  b.on('error', onError);
  a.once('close', () => {
    there.flush();
    onClose(a, b);
  });
  b.once('close', () => {
    back.flush();
    onClose(b, a);
  });
  there.start(early);
  back.start(null);
}
