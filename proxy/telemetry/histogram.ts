/**
 * A distribution in fixed buckets. A sample costs a search among the bounds and two additions.
 * Knows neither names nor labels.
 */

/** Upper bounds in seconds, from half a millisecond to a minute: for the duration of requests. */
export const DURATION_BOUNDS_SECONDS: readonly number[] = [
  0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60,
];

/** Cells that a histogram with these bounds takes: one a bucket, one for what is above, one for the sum. */
export function histogramCells(bounds: readonly number[]): number {
  return bounds.length + 2;
}

export class Histogram {
  readonly bounds: Float64Array;
  readonly page: Float64Array;
  readonly index: number;

  /** @param bounds ascending; shared by all series of a family */
  constructor(bounds: Float64Array, page: Float64Array, index: number) {
    this.bounds = bounds;
    this.page = page;
    this.index = index;
  }

  /** Counts one sample, in the unit of the bounds. */
  observe(sample: number): void {
    const { bounds, page, index } = this;
    let low = 0;
    let high = bounds.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (sample <= bounds[middle]!) high = middle;
      else low = middle + 1;
    }
    page[index + low]!++;
    page[index + bounds.length + 1]! += sample;
  }

  /** Samples in bucket `bucket` alone, not summed up; the bucket after the last bound holds what is above it. */
  bucket(bucket: number): number {
    return this.page[this.index + bucket]!;
  }

  get sum(): number {
    return this.page[this.index + this.bounds.length + 1]!;
  }

  get count(): number {
    let total = 0;
    for (let bucket = 0; bucket <= this.bounds.length; bucket++) total += this.bucket(bucket);
    return total;
  }

  /**
   * The sample below which `share` (0 to 1) of all lie, by linear interpolation in its bucket as Prometheus' `histogram_quantile`;
   * above the last bound: that bound. NaN without samples.
   */
  quantile(share: number): number {
    const rank = share * this.count;
    let below = 0;
    for (let bucket = 0; bucket < this.bounds.length; bucket++) {
      const inside = this.bucket(bucket);
      if (inside > 0 && below + inside >= rank) {
        const lower = bucket === 0 ? 0 : this.bounds[bucket - 1]!;
        return lower + (this.bounds[bucket]! - lower) * Math.max(0, (rank - below) / inside);
      }
      below += inside;
    }
    return this.count === 0 ? Number.NaN : this.bounds.at(-1)!;
  }
}
