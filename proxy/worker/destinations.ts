/**
 * The destinations that applications talk to: asked for at first use, waited for a moment, let go when idle (lazy subscription).
 * Knows no listener and no request; only names and their state.
 */
import type { Clock, Timer } from '#base/clock.ts';
import type { DestinationState } from '../config/snapshot.ts';
import type { FromWorker } from './messages.ts';

/** Something that cannot go on before the state of a destination is known. */
export interface DestinationWaiter {
  onDestination(state: 'ready' | 'unknown' | 'timeout'): void;
}

interface Entry {
  state: DestinationState;
  usedMs: number;
  waiting: Set<DestinationWaiter>;
  timer: Timer | null;
}

/** Connections and requests that wait for one destination; more get `timeout` at once. */
const MAX_WAITING = 1000;
const MAX_ENTRIES = 20_000;
const SWEEP_MS = 10_000;

export class Destinations {
  readonly #entries = new Map<string, Entry>();
  readonly #clock: Clock;
  readonly #idleMs: number;
  readonly #waitMs: number;
  readonly #post: (message: FromWorker) => void;
  readonly #sweeper: Timer;

  constructor(clock: Clock, idleMs: number, waitMs: number, post: (message: FromWorker) => void) {
    this.#clock = clock;
    this.#idleMs = idleMs;
    this.#waitMs = waitMs;
    this.#post = post;
    this.#sweeper = clock.every(Math.min(SWEEP_MS, idleMs), () => this.#sweep());
  }

  get size(): number {
    return this.#entries.size;
  }

  states(): ReadonlyMap<string, DestinationState> {
    return new Map([...this.#entries].map(([name, entry]) => [name, entry.state]));
  }

  /** The state of `name`, which counts as used now; the first call asks the control plane for it. */
  use(name: string): DestinationState {
    const entry = this.#entries.get(name);
    if (entry !== undefined) {
      entry.usedMs = this.#clock.now();
      return entry.state;
    }
    if (this.#entries.size >= MAX_ENTRIES) return 'unknown';
    this.#entries.set(name, { state: 'pending', usedMs: this.#clock.now(), waiting: new Set(), timer: null });
    this.#post({ kind: 'want', destination: name });
    return this.#entries.get(name)?.state ?? 'pending';
  }

  /** Calls the waiter once, when the state is known or the wait is over; only while `use` said `pending`. */
  wait(name: string, waiter: DestinationWaiter): void {
    const entry = this.#entries.get(name);
    if (entry === undefined || entry.waiting.size >= MAX_WAITING) {
      waiter.onDestination('timeout');
      return;
    }
    entry.waiting.add(waiter);
    entry.timer ??= this.#clock.after(this.#waitMs, () => this.#wake(entry, 'timeout'));
  }

  unwait(name: string, waiter: DestinationWaiter): void {
    this.#entries.get(name)?.waiting.delete(waiter);
  }

  /** What the supervisor learned. */
  update(changes: ReadonlyMap<string, 'ready' | 'unknown' | 'released'>): void {
    for (const [name, state] of changes) {
      const entry = this.#entries.get(name);
      if (entry === undefined) continue;
      if (state === 'released') {
        this.#release(name, entry);
        continue;
      }
      entry.state = state;
      this.#wake(entry, state);
    }
  }

  /** Somebody came for it between our word that it is idle and its release: then it is asked for once more. */
  #release(name: string, entry: Entry): void {
    entry.state = 'pending';
    if (entry.waiting.size === 0) this.#entries.delete(name);
    else this.#post({ kind: 'want', destination: name });
  }

  close(): void {
    this.#sweeper.cancel();
    for (const entry of this.#entries.values()) entry.timer?.cancel();
  }

  #wake(entry: Entry, state: 'ready' | 'unknown' | 'timeout'): void {
    entry.timer?.cancel();
    entry.timer = null;
    const waiting = [...entry.waiting];
    entry.waiting.clear();
    for (const waiter of waiting) waiter.onDestination(state);
  }

  #sweep(): void {
    const oldest = this.#clock.now() - this.#idleMs;
    for (const [name, entry] of this.#entries) {
      if (entry.usedMs < oldest && entry.waiting.size === 0) this.#post({ kind: 'idle', destination: name });
    }
  }
}
