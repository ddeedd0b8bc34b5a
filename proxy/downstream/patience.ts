/**
 * How long a client may stand still within a request or an answer, and how that is noticed: its connection is looked at now and then,
 * so that a byte costs no look at the clock and a request no timer. Knows no protocol.
 */
import type { Socket } from 'node:net';

export interface Patience {
  /** No byte of a request body comes that is still due, in milliseconds; 0: for ever. Part of what Envoy calls `stream_idle_timeout`. */
  readonly bodyIdleMs: number;
  /** Nothing is taken of an answer that waits to leave, in milliseconds; above 0. Envoy: `stream_flush_timeout`. */
  readonly flushMs: number;
}

export const DEFAULT_PATIENCE: Patience = { bodyIdleMs: 60_000, flushMs: 300_000 };

/** What a client does not do; a counter's label. */
export type Stall = 'request-body' | 'answer';

/** So often within the shorter time. What stands still is noticed after one and a half times its bound at most. */
const LOOKS = 4;

/** Milliseconds between two looks. */
export function lookEveryMs({ bodyIdleMs, flushMs }: Patience): number {
  return (bodyIdleMs > 0 && bodyIdleMs < flushMs ? bodyIdleMs : flushMs) / LOOKS;
}

/** Since when something has not moved, as far as looks can tell. */
export class Standstill {
  #mark = -1;
  #sinceMs = 0;

  /** @param mark changes with each move @param boundMs 0: never too long */
  isTooLong(mark: number, nowMs: number, boundMs: number): boolean {
    if (mark !== this.#mark) {
      this.#mark = mark;
      this.#sinceMs = nowMs;
    }
    return boundMs > 0 && nowMs - this.#sinceMs >= boundMs;
  }

  /** Nothing has to move at present. */
  forget(): void {
    this.#mark = -1;
  }
}

/** In the place of a mark: no body is due. */
export const NO_BODY_DUE = -1;

/** What the client of one socket stands still with. */
export class StallWatch {
  readonly #socket: Socket;
  readonly #body = new Standstill();
  readonly #answer = new Standstill();

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  /**
   * To be asked now and then. What is written to a socket at once counts as taken when all of it is.
   * @param bodyMark changes with each piece of a body
   * @param awaited what the client should take: what waits to leave, that and our end (which in TLS can wait when no byte does), or nothing
   */
  find(
    nowMs: number,
    { bodyIdleMs, flushMs }: Patience,
    bodyMark: number,
    awaited: 'data' | 'end' | 'nothing',
  ): Stall | null {
    if (bodyMark === NO_BODY_DUE) this.#body.forget();
    else if (this.#body.isTooLong(bodyMark, nowMs, bodyIdleMs)) return 'request-body';
    const waiting = this.#socket.writableLength;
    if (awaited === 'end' || (awaited === 'data' && waiting > 0)) {
      return this.#answer.isTooLong(this.#socket.bytesWritten - waiting, nowMs, flushMs) ? 'answer' : null;
    }
    this.#answer.forget();
    return null;
  }
}

/** For people. */
export function stallText(stall: Stall, { bodyIdleMs, flushMs }: Patience): string {
  if (stall === 'answer') return `nothing of the answer was taken for ${flushMs} ms`;
  return `no byte of the body came for ${bodyIdleMs} ms`;
}
