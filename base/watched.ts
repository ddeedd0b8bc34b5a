/**
 * One value that others watch. An equal value is no event; a slow reader sees only the last one.
 * Knows nothing of what the value means.
 */
export type Unwatch = () => void;

export class Watched<T> {
  #value: T;
  readonly #equal: (a: T, b: T) => boolean;
  readonly #watchers = new Set<(value: T) => void>();
  #changes = 0;

  constructor(initial: T, equal: (a: T, b: T) => boolean = Object.is) {
    this.#value = initial;
    this.#equal = equal;
  }

  get value(): T {
    return this.#value;
  }

  /** Sets the value and tells the watchers, unless it equals the present one. */
  set(value: T): void {
    if (this.#equal(this.#value, value)) return;
    this.#value = value;
    const change = ++this.#changes;
    for (const watcher of this.#watchers) {
      // A watcher has set it anew, and all have heard of that already: this value is old.
      if (change !== this.#changes) return;
      watcher(value);
    }
  }

  /** Calls `watcher` at each change, not for the present value. */
  watch(watcher: (value: T) => void): Unwatch {
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  }
}
