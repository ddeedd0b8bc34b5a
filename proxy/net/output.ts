/**
 * What goes out on a connection: head, framing and small pieces of body are gathered and leave in one write, large pieces apart.
 * Knows no HTTP.
 */
import type { Socket } from 'node:net';
import { holdTime, releaseTime } from '#base/clock.ts';
import { Room } from './rooms.ts';
import { flushAfterRound, type Flushing } from './round.ts';

/** Up to this many bytes are copied into the gathered text; measured on loopback, a second write costs more than copying 4 KiB. */
const SMALL_BYTES = 4096;
/** Gathered text over this leaves at once. */
const FLUSH_BYTES = 16_384;

/** Outputs with something to send at the end of the present turn; empty between turns. */
const waiting: Output[] = [];
let turns = 0;
let isScheduled = false;

/**
 * A turn is the handling of one read: whatever several streams write meanwhile leaves when it ends, without a tick of its own for each
 * (measured: two `nextTick` a request cost 2 of 20 microseconds). Time stands still within a turn. Turns may nest.
 */
export function beginTurn(): void {
  turns++;
  holdTime();
}

export function endTurn(): void {
  turns--;
  releaseTime();
  if (turns === 0 && waiting.length > 0) flushWaiting();
}

function flushWaiting(): void {
  isScheduled = false;
  for (const output of waiting) output.flushNow();
  // Setting the length of an array is a call into V8's runtime, a pop is not.
  while (waiting.length > 0) waiting.pop();
}

export class Output implements Flushing {
  readonly #socket: Socket;
  readonly #isShared: boolean;
  #text = '';
  #isWaiting = false;

  /**
   * @param isShared many streams write here (HTTP/2): what all reads of one round of the event loop bring leaves in one write. Between
   * sidecars that is one TLS record for the requests of many connections; measured, it halves the cost of a hop under load.
   */
  constructor(socket: Socket, isShared = false) {
    this.#socket = socket;
    this.#isShared = isShared;
  }

  /** False: the peer does not keep up; the socket will emit `drain`. */
  get writable(): boolean {
    return !this.#socket.writableNeedDrain;
  }

  /** Latin-1 text; leaves at the next flush. */
  text(text: string): void {
    this.#text += text;
  }

  /** The bytes are copied: read buffers are used again for the next read. */
  bytes(chunk: Buffer, start: number, end: number): void {
    if (end - start <= SMALL_BYTES) {
      this.#text += chunk.latin1Slice(start, end);
      if (this.#text.length > FLUSH_BYTES) this.flush();
      return;
    }
    this.#socket.cork();
    this.flush();
    for (let at = start; at < end;) {
      const room = Room.take();
      at = room.fill(chunk, at, end);
      room.write(this.#socket);
    }
    this.#socket.uncork();
  }

  /** Sends what is gathered now. */
  flush(): void {
    if (this.#text === '') return;
    const text = this.#text;
    this.#text = '';
    this.#socket.write(text, 'latin1');
  }

  /** Sends what is gathered when the present turn is over: more may join it until then. */
  flushSoon(): void {
    if (this.#isWaiting || this.#text === '') return;
    this.#isWaiting = true;
    if (this.#isShared) {
      flushAfterRound(this);
      return;
    }
    waiting.push(this);
    if (turns > 0 || isScheduled) return;
    isScheduled = true;
    process.nextTick(flushWaiting);
  }

  /** For the end of a turn or a round only. */
  flushNow(): void {
    this.#isWaiting = false;
    this.flush();
  }
}
