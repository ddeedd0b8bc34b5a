/**
 * Coarse deadlines for things that come and go by the thousand: scheduling and cancelling cost an array slot, not a platform timer.
 * Knows nothing of what a deadline is for. Precision is one tick; a deadline never fires early.
 */
import type { Clock, Timer } from './clock.ts';

/** Something with a deadline. It carries its own links, so that scheduling allocates nothing. */
export abstract class Deadline {
  /** Time in clock milliseconds at which it is due; maintained by the wheel. */
  dueMs = 0;
  wheelNext: Deadline | null = null;
  wheelPrev: Deadline | null = null;
  wheelSlot = -1;
  /** Called once when due; the deadline may be scheduled again from here. */
  abstract onDeadline(): void;
}

const SLOTS = 512;
/** The slot after the wheel's own holds what is due now, so that one deadline can still cancel or move another that is due with it. */
const DUE = SLOTS;

export class TimerWheel {
  readonly tickMs: number;
  readonly #clock: Clock;
  readonly #slots: (Deadline | null)[] = Array.from<Deadline | null>({ length: SLOTS + 1 }).fill(null);
  #cursor: number;
  #size = 0;
  #timer: Timer | null = null;

  constructor(clock: Clock, tickMs = 20) {
    this.#clock = clock;
    this.tickMs = tickMs;
    this.#cursor = Math.floor(clock.now() / tickMs);
  }

  /** How many deadlines wait. */
  get size(): number {
    return this.#size;
  }

  /** Sets or moves the deadline of `item` to `delayMs` from now. */
  schedule(item: Deadline, delayMs: number): void {
    if (item.wheelSlot >= 0) this.#unlink(item);
    if (this.#size === 0) this.#cursor = Math.floor(this.#clock.now() / this.tickMs);
    item.dueMs = this.#clock.now() + delayMs;
    // One tick later than the tick it falls in, so that it never fires early.
    const tick = Math.max(Math.floor(item.dueMs / this.tickMs) + 1, this.#cursor + 1);
    this.#link(item, tick % SLOTS);
    this.#timer ??= this.#clock.every(this.tickMs, () => this.#turn());
  }

  cancel(item: Deadline): void {
    if (item.wheelSlot < 0) return;
    this.#unlink(item);
    if (this.#size === 0) this.#stop();
  }

  #turn(): void {
    const now = this.#clock.now();
    const target = Math.floor(now / this.tickMs);
    // After a long pause each slot needs one visit only, for a visit fires all that is due in it.
    if (target - this.#cursor > SLOTS) this.#cursor = target - SLOTS;
    while (this.#cursor < target) {
      this.#cursor++;
      this.#collect(this.#cursor % SLOTS, now);
      this.#fire();
    }
    if (this.#size === 0) this.#stop();
  }

  /** Newest first, so that the oldest ends up at the head of what is due. */
  #collect(slot: number, now: number): void {
    let item = this.#slots[slot] ?? null;
    while (item !== null) {
      const next: Deadline | null = item.wheelNext;
      if (item.dueMs <= now) {
        this.#unlink(item);
        this.#link(item, DUE);
      }
      item = next;
    }
  }

  #fire(): void {
    for (let item = this.#slots[DUE] ?? null; item !== null; item = this.#slots[DUE] ?? null) {
      this.#unlink(item);
      item.onDeadline();
    }
  }

  #link(item: Deadline, slot: number): void {
    const head = this.#slots[slot] ?? null;
    item.wheelSlot = slot;
    item.wheelPrev = null;
    item.wheelNext = head;
    if (head !== null) head.wheelPrev = item;
    this.#slots[slot] = item;
    this.#size++;
  }

  #unlink(item: Deadline): void {
    if (item.wheelPrev !== null) item.wheelPrev.wheelNext = item.wheelNext;
    else this.#slots[item.wheelSlot] = item.wheelNext;
    if (item.wheelNext !== null) item.wheelNext.wheelPrev = item.wheelPrev;
    item.wheelNext = null;
    item.wheelPrev = null;
    item.wheelSlot = -1;
    this.#size--;
  }

  #stop(): void {
    this.#timer?.cancel();
    this.#timer = null;
  }
}
