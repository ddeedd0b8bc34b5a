/**
 * A count that may belong to several threads: each adds to a cell of its own, and the sum is what a limit is held against.
 * A thread that dies leaves a cell that whoever looks after it sets to zero. Knows nothing of what is counted.
 */

export interface Tally {
  /** Of all threads. */
  readonly total: number;
  /** Of this thread. @param count may be negative */
  add(count: number): void;
  /** Adds one unless `total` is at `limit` already; never above it, however many threads take at once. */
  take(limit: number): boolean;
}

/** For one thread alone. */
export class LocalTally implements Tally {
  total = 0;

  add(count: number): void {
    this.total += count;
  }

  take(limit: number): boolean {
    if (this.total >= limit) return false;
    this.total++;
    return true;
  }
}

/** Over cells in shared memory, one for each thread. */
export class SharedTally implements Tally {
  readonly #cells: Int32Array;
  readonly #first: number;
  readonly #threads: number;
  readonly #own: number;

  /**
   * @param cells of a `SharedArrayBuffer`
   * @param first index of the first thread's cell; those of the others follow
   * @param slot which of the threads this is
   */
  constructor(cells: Int32Array, first: number, threads: number, slot: number) {
    this.#cells = cells;
    this.#first = first;
    this.#threads = threads;
    this.#own = first + slot;
  }

  get total(): number {
    let sum = 0;
    for (let i = 0; i < this.#threads; i++) sum += Atomics.load(this.#cells, this.#first + i);
    return sum;
  }

  add(count: number): void {
    Atomics.add(this.#cells, this.#own, count);
  }

  take(limit: number): boolean {
    // Added before it is looked at: two that come at the same moment may both be turned away, but never both let in.
    Atomics.add(this.#cells, this.#own, 1);
    if (this.total <= limit) return true;
    Atomics.sub(this.#cells, this.#own, 1);
    return false;
  }
}
