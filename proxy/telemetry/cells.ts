/**
 * Numbers that are counted on the hot path: cells in pages of typed arrays, so that counting is one addition in place.
 * Knows neither names nor labels. A page can be shared with another thread, if the allocator makes it so.
 */
export const CELLS_PER_PAGE = 1024;

/** Makes a zeroed page of `CELLS_PER_PAGE` cells. */
export type PageAllocator = () => Float64Array;

export const allocatePage: PageAllocator = () => new Float64Array(CELLS_PER_PAGE);

/** A page that another thread can read while this one counts. */
export const allocateSharedPage: PageAllocator = () =>
  new Float64Array(new SharedArrayBuffer(CELLS_PER_PAGE * Float64Array.BYTES_PER_ELEMENT));

/** Hands out cells; none is ever given back, for series are bounded and live as long as their registry. */
export class CellPages {
  readonly #allocate: PageAllocator;
  #page: Float64Array;
  #used = 0;

  constructor(allocate: PageAllocator) {
    this.#allocate = allocate;
    this.#page = allocate();
  }

  /** `count` cells in a row on one page; at most `CELLS_PER_PAGE`. */
  take(count: number): { readonly page: Float64Array; readonly index: number } {
    if (this.#used + count > CELLS_PER_PAGE) {
      this.#page = this.#allocate();
      this.#used = 0;
    }
    const index = this.#used;
    this.#used += count;
    return { page: this.#page, index };
  }
}

/** Goes up only. */
export class Counter {
  readonly page: Float64Array;
  readonly index: number;

  constructor(page: Float64Array, index: number) {
    this.page = page;
    this.index = index;
  }

  inc(): void {
    this.page[this.index]!++;
  }

  /** @param amount not negative */
  add(amount: number): void {
    this.page[this.index]! += amount;
  }

  get value(): number {
    return this.page[this.index]!;
  }
}

/** Goes up and down. */
export class Gauge extends Counter {
  dec(): void {
    this.page[this.index]!--;
  }

  set(value: number): void {
    this.page[this.index] = value;
  }
}
