/**
 * Draws an index with a chance in proportion to its weight, in constant time (Walker's alias method, Vose's construction).
 * Knows no endpoint; changes never.
 */
import { randomInt, type Random } from '#base/random.ts';

export class WeightedSampler {
  readonly #size: number;
  /** Null when all weights are equal: every index keeps its own column. */
  readonly #keep: Float64Array | null;
  readonly #alias: Uint32Array;

  /** @param weights positive, at least one */
  constructor(weights: readonly number[]) {
    this.#size = weights.length;
    this.#alias = new Uint32Array(weights.length);
    this.#keep = weights.every((weight) => weight === weights[0]) ? null : fillColumns(weights, this.#alias);
  }

  draw(random: Random): number {
    if (this.#keep === null) return randomInt(random, this.#size);
    // One random number gives the column and the place in it.
    const point = random() * this.#size;
    const column = Math.floor(point);
    return point - column < this.#keep[column]! ? column : this.#alias[column]!;
  }

  /** An index other than `first`; uniform when the weights are equal. There must be two at least. */
  drawOther(first: number, random: Random): number {
    if (this.#keep !== null) {
      for (let tries = 0; tries < 4; tries++) {
        const index = this.draw(random);
        if (index !== first) return index;
      }
    }
    return (first + 1 + randomInt(random, this.#size - 1)) % this.#size;
  }
}

/** Gives each column the height 1: what is missing in a small one is filled up from a large one, its alias. */
function fillColumns(weights: readonly number[], alias: Uint32Array): Float64Array {
  let sum = 0;
  for (const weight of weights) sum += weight;
  const keep = Float64Array.from(weights, (weight) => (weight * weights.length) / sum);
  const small: number[] = [];
  const large: number[] = [];
  for (let index = 0; index < keep.length; index++) (keep[index]! < 1 ? small : large).push(index);
  while (small.length > 0 && large.length > 0) {
    const low = small.pop()!;
    const high = large.pop()!;
    alias[low] = high;
    keep[high] = keep[high]! - (1 - keep[low]!);
    (keep[high] < 1 ? small : large).push(high);
  }
  // What is left over is 1 but for rounding.
  for (const index of small) keep[index] = 1;
  for (const index of large) keep[index] = 1;
  return keep;
}
