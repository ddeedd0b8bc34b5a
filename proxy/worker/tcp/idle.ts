/**
 * Tells when a pair of sockets has been silent for too long. It looks at what they have read so far, a few times in that span,
 * so that bytes on their way cost nothing. Knows no end of a connection.
 */
import type { Socket } from 'node:net';
import type { Clock } from '#base/clock.ts';
import { Deadline, type TimerWheel } from '#base/timer-wheel.ts';

/** Looks in one span: silence is noticed after at most an eighth more than allowed. */
const LOOKS = 8;

/** Runs from its making until it fires once or is cancelled on the wheel. */
export class IdleWatch extends Deadline {
  readonly #a: Socket;
  readonly #b: Socket;
  readonly #idleMs: number;
  readonly #clock: Clock;
  readonly #wheel: TimerWheel;
  readonly #onIdle: () => void;
  #seenBytes = 0;
  #seenMs: number;

  constructor(
    a: Socket,
    b: Socket,
    idleMs: number,
    { clock, wheel }: { readonly clock: Clock; readonly wheel: TimerWheel },
    onIdle: () => void,
  ) {
    super();
    this.#a = a;
    this.#b = b;
    this.#idleMs = idleMs;
    this.#clock = clock;
    this.#wheel = wheel;
    this.#onIdle = onIdle;
    this.#seenMs = clock.now();
    wheel.schedule(this, idleMs / LOOKS);
  }

  override onDeadline(): void {
    const bytes = this.#a.bytesRead + this.#b.bytesRead;
    const nowMs = this.#clock.now();
    if (bytes !== this.#seenBytes) {
      this.#seenBytes = bytes;
      this.#seenMs = nowMs;
    }
    const silentMs = nowMs - this.#seenMs;
    if (silentMs >= this.#idleMs) this.#onIdle();
    else this.#wheel.schedule(this, Math.min(this.#idleMs / LOOKS, this.#idleMs - silentMs));
  }
}
