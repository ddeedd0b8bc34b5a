/**
 * Keeps retries from turning a bad moment into an outage: at most a share of the requests of the last seconds, plus a small floor.
 * After Finagle's and Linkerd's RetryBudget. A retry counts when it is scheduled, not when it is sent, so that retries that wait
 * cannot pile up (envoyproxy/envoy#30205). Knows no request and no clock.
 */

export interface RetryBudgetConfig {
  /** Share of requests that may be retried, in percent. */
  readonly percent: number;
  /** Retries each second that are always allowed, for services with few requests. */
  readonly minPerSecond: number;
  /** Length of the window in milliseconds. */
  readonly intervalMs: number;
}

/** The window slides in steps of a tenth. */
const STEPS = 10;
/** The slice that is still filling comes on top: the window is never shorter than its interval, so the floor is not given twice. */
const SLICES = STEPS + 1;

export class RetryBudget {
  readonly #share: number;
  readonly #floor: number;
  readonly #sliceMs: number;
  readonly #requests = new Float64Array(SLICES);
  readonly #retries = new Float64Array(SLICES);
  #requestsInWindow = 0;
  #retriesInWindow = 0;
  /** Number of the current slice since the clock's origin. */
  #slice: number;

  constructor(config: RetryBudgetConfig, nowMs: number) {
    this.#share = config.percent / 100;
    this.#floor = (config.minPerSecond * config.intervalMs) / 1000;
    this.#sliceMs = Math.max(1, config.intervalMs / STEPS);
    this.#slice = Math.floor(nowMs / this.#sliceMs);
  }

  /** Counts a request; its retries do not count as requests. */
  countRequest(nowMs: number): void {
    this.#slide(nowMs);
    this.#requests[this.#slice % SLICES]!++;
    this.#requestsInWindow++;
  }

  /** Takes one retry, to be called when it is scheduled; false when the budget is spent. */
  takeRetry(nowMs: number): boolean {
    this.#slide(nowMs);
    if (this.#retriesInWindow + 1 > this.#requestsInWindow * this.#share + this.#floor) return false;
    this.#retries[this.#slice % SLICES]!++;
    this.#retriesInWindow++;
    return true;
  }

  /** Forgets the slices that left the window; at most `SLICES` steps however long the pause. */
  #slide(nowMs: number): void {
    const target = Math.floor(nowMs / this.#sliceMs);
    if (target - this.#slice > SLICES) this.#slice = target - SLICES;
    while (this.#slice < target) {
      this.#slice++;
      const index = this.#slice % SLICES;
      this.#requestsInWindow -= this.#requests[index]!;
      this.#retriesInWindow -= this.#retries[index]!;
      this.#requests[index] = 0;
      this.#retries[index] = 0;
    }
  }
}
