/**
 * Peak EWMA of a latency: jumps up at once to a slower sample, decays slowly towards faster ones.
 * After Finagle's and Linkerd's balancer. Knows no endpoint.
 */
export class PeakEwma {
  readonly #decayMs: number;
  #costMs: number;
  #stampMs: number;
  #penaltyMs = 0;
  #penaltyEndMs = 0;

  /** @param initialMs the cost before any sample, in milliseconds. @param decayMs time for an old sample to lose 63 % of its weight. */
  constructor(initialMs: number, decayMs: number, nowMs: number) {
    this.#decayMs = decayMs;
    this.#costMs = initialMs;
    this.#stampMs = nowMs;
  }

  observe(sampleMs: number, nowMs: number): void {
    const elapsed = Math.max(0, nowMs - this.#stampMs);
    this.#stampMs = nowMs;
    if (sampleMs > this.#costMs) {
      this.#costMs = sampleMs;
      return;
    }
    const weight = Math.exp(-elapsed / this.#decayMs);
    this.#costMs = this.#costMs * weight + sampleMs * (1 - weight);
  }

  /**
   * A failure: until `endMs` the estimate is at least `costMs`, or the endpoint that refuses at once would look like the fastest.
   * Apart from the average, which would remember it for many times the decay and starve the endpoint long after it is well.
   */
  penalize(costMs: number, endMs: number): void {
    this.#penaltyMs = costMs;
    this.#penaltyEndMs = endMs;
  }

  /** The cost at the last sample, in milliseconds. */
  get peekMs(): number {
    return this.#costMs;
  }

  /** The present estimate in milliseconds; without samples it decays towards zero, so that a punished endpoint is tried again. */
  estimateMs(nowMs: number): number {
    if (nowMs < this.#penaltyEndMs) return Math.max(this.#penaltyMs, this.#costMs);
    const elapsed = Math.max(0, nowMs - this.#stampMs);
    return elapsed === 0 ? this.#costMs : this.#costMs * Math.exp(-elapsed / this.#decayMs);
  }
}
