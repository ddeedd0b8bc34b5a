/**
 * Waits until changes pause before acting on them, but not for ever.
 * Knows nothing of what changes.
 */
import type { Clock, Timer } from '#base/clock.ts';

export interface DebounceBounds {
  /** Quiet time after a change. */
  readonly quietMs: number;
  /** The longest that the first change of a burst waits. */
  readonly ceilingMs: number;
}

export class Debounce {
  readonly #clock: Clock;
  readonly #bounds: DebounceBounds;
  readonly #run: () => void;
  #timer: Timer | null = null;
  #firstMs = 0;

  constructor(clock: Clock, bounds: DebounceBounds, run: () => void) {
    this.#clock = clock;
    this.#bounds = bounds;
    this.#run = run;
  }

  /** Something changed. */
  touch(): void {
    const now = this.#clock.now();
    if (this.#timer === null) this.#firstMs = now;
    this.#timer?.cancel();
    const delayMs = Math.min(this.#bounds.quietMs, this.#firstMs + this.#bounds.ceilingMs - now);
    this.#timer = this.#clock.after(Math.max(0, delayMs), () => {
      this.#timer = null;
      this.#run();
    });
  }

  cancel(): void {
    this.#timer?.cancel();
    this.#timer = null;
  }
}
