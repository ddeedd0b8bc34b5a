/**
 * A clock that moves only when told, for tests and for anything that plays time forward.
 * Runs due timers in order of time, then of creation.
 */
import type { Clock, Timer } from './clock.ts';

interface Pending {
  at: number;
  order: number;
  periodMs: number;
  run: () => void;
}

export class FakeClock implements Clock {
  #now: number;
  #wallOffset: number;
  #order = 0;
  #pending: Pending[] = [];

  constructor(startMs = 0, wallMs = Date.UTC(2026, 0, 1)) {
    this.#now = startMs;
    this.#wallOffset = wallMs - startMs;
  }

  now(): number {
    return this.#now;
  }

  wall(): number {
    return this.#now + this.#wallOffset;
  }

  after(delayMs: number, run: () => void): Timer {
    return this.#add(Math.max(0, delayMs), 0, run);
  }

  every(periodMs: number, run: () => void): Timer {
    return this.#add(periodMs, periodMs, run);
  }

  /** How many timers wait. */
  get size(): number {
    return this.#pending.length;
  }

  /** Moves time forward and runs what falls due on the way. */
  advance(ms: number): void {
    const end = this.#now + ms;
    for (;;) {
      const next = this.#takeDue(end);
      if (next === null) break;
      this.#now = Math.max(this.#now, next.at);
      // Before it runs, so that it goes on when it throws, and is gone when it cancels itself.
      if (next.periodMs > 0) {
        next.at += next.periodMs;
        next.order = this.#order++;
        this.#pending.push(next);
      }
      next.run();
    }
    this.#now = end;
  }

  /** Moves to the next due time within `withinMs`, and runs what falls due then. False: there is nothing. */
  step(withinMs: number): boolean {
    const next = Math.min(...this.#pending.map(({ at }) => at));
    if (!(next <= this.#now + withinMs)) return false;
    this.advance(Math.max(0, next - this.#now));
    return true;
  }

  #add(delayMs: number, periodMs: number, run: () => void): Timer {
    const pending: Pending = { at: this.#now + delayMs, order: this.#order++, periodMs, run };
    this.#pending.push(pending);
    return {
      cancel: () => {
        this.#pending = this.#pending.filter((p) => p !== pending);
      },
    };
  }

  #takeDue(end: number): Pending | null {
    let best: Pending | null = null;
    for (const p of this.#pending) {
      if (p.at <= end && (best === null || p.at < best.at || (p.at === best.at && p.order < best.order))) best = p;
    }
    if (best !== null) this.#pending.splice(this.#pending.indexOf(best), 1);
    return best;
  }
}
