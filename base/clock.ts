/**
 * The only file that reads the time or sets a timer of the platform.
 * Everything else gets a `Clock`, so that tests own time.
 */
import { performance } from 'node:perf_hooks';

/** A running timer; `cancel` may be called any number of times. */
export interface Timer {
  cancel(): void;
}

export interface Clock {
  /** Monotonic time in milliseconds, with fractions. */
  now(): number;
  /** Wall time in milliseconds since the epoch. */
  wall(): number;
  /** Calls `run` once after `delayMs`; does not keep the process alive. */
  after(delayMs: number, run: () => void): Timer;
  /** Calls `run` every `periodMs`; does not keep the process alive. */
  every(periodMs: number, run: () => void): Timer;
}

/** `setTimeout` fires at once for delays above this (2^31-1 ms), so longer ones are cut into steps. */
const MAX_TIMEOUT_MS = 2_147_483_647;

/**
 * Runs what is due only after the platform has looked at its sockets. A process that stood still, for want of CPU or with long work of its own, is
 * told of timers first, and would give up for lack of an answer what was answered meanwhile.
 */
class PlatformTimer implements Timer {
  readonly #run: () => void;
  #timeout: NodeJS.Timeout | null = null;
  #due: NodeJS.Immediate | null = null;

  constructor(run: () => void) {
    this.#run = run;
  }

  after(delayMs: number): this {
    const step = Math.min(delayMs, MAX_TIMEOUT_MS);
    this.#timeout = setTimeout(() => {
      this.#timeout = null;
      if (delayMs > step) this.after(delayMs - step);
      else this.#runSoon();
    }, step).unref();
    return this;
  }

  every(periodMs: number): this {
    this.#timeout = setInterval(() => this.#runSoon(), Math.min(Math.max(1, periodMs), MAX_TIMEOUT_MS)).unref();
    return this;
  }

  #runSoon(): void {
    this.#due ??= setImmediate(() => {
      this.#due = null;
      this.#run();
    });
  }

  cancel(): void {
    if (this.#timeout !== null) clearTimeout(this.#timeout);
    if (this.#due !== null) clearImmediate(this.#due);
    this.#timeout = null;
    this.#due = null;
  }
}

/** Here, for the global of the same name is a getter, which is asked again at each call. */
const stopwatch = performance;
let holds = 0;
/** Negative: not asked for yet since it is held. */
let heldMs = -1;

/**
 * From now on `systemClock.now` stands still, until `releaseTime` was called as often: what happens within the handling of one read happens at one
 * time, and the platform is asked for it once (measured: it was asked nine times for a request, 4 % of a gRPC call).
 */
export function holdTime(): void {
  holds++;
}

export function releaseTime(): void {
  if (--holds === 0) heldMs = -1;
}

function now(): number {
  if (holds === 0) return stopwatch.now();
  if (heldMs < 0) heldMs = stopwatch.now();
  return heldMs;
}

/** The time of this machine. */
export const systemClock: Clock = {
  now,
  wall: () => Date.now(),
  after: (delayMs, run) => new PlatformTimer(run).after(Math.max(0, delayMs)),
  every: (periodMs, run) => new PlatformTimer(run).every(periodMs),
};
