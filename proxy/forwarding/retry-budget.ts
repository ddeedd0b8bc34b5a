/**
 * Keeps retries from turning a bad moment into an outage: at most a share of the requests of the last seconds, plus a small floor.
 * After Finagle's and Linkerd's RetryBudget. A retry counts when it is scheduled, not when it is sent, so that retries that wait
 * cannot pile up (envoyproxy/envoy#30205). What is in the window is counted for all workers of the pod together. Knows no request and no clock.
 */
import type { PodCounts } from '../exchange/pod-counts.ts';

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
  readonly #pod: Pick<PodCounts, 'budgetRequests' | 'budgetRetries'>;
  /** Number of the current slice since the clock's origin. */
  #slice: number;

  constructor(config: RetryBudgetConfig, nowMs: number, pod: Pick<PodCounts, 'budgetRequests' | 'budgetRetries'>) {
    this.#pod = pod;
    this.#share = config.percent / 100;
    this.#floor = (config.minPerSecond * config.intervalMs) / 1000;
    this.#sliceMs = Math.max(1, config.intervalMs / STEPS);
    this.#slice = Math.floor(nowMs / this.#sliceMs);
  }

  /** Counts a request; its retries do not count as requests. */
  countRequest(nowMs: number): void {
    this.#slide(nowMs);
    this.#requests[this.#slice % SLICES]!++;
    this.#pod.budgetRequests.add(1);
  }

  /** Takes one retry, to be called when it is scheduled; false when the budget is spent. */
  takeRetry(nowMs: number): boolean {
    this.#slide(nowMs);
    const { budgetRequests, budgetRetries } = this.#pod;
    if (!budgetRetries.take(Math.floor(budgetRequests.total * this.#share + this.#floor))) return false;
    this.#retries[this.#slice % SLICES]!++;
    return true;
  }

  /** Forgets what left the window; to be called now and then, for other workers count what this one has still in it. */
  slide(nowMs: number): void {
    this.#slide(nowMs);
  }

  /** Takes everything back. */
  close(): void {
    this.#pod.budgetRequests.add(-sum(this.#requests));
    this.#pod.budgetRetries.add(-sum(this.#retries));
    this.#requests.fill(0);
    this.#retries.fill(0);
  }

  /** Forgets the slices that left the window; at most `SLICES` steps however long the pause. */
  #slide(nowMs: number): void {
    const target = Math.floor(nowMs / this.#sliceMs);
    if (target - this.#slice > SLICES) this.#slice = target - SLICES;
    while (this.#slice < target) {
      this.#slice++;
      const index = this.#slice % SLICES;
      this.#pod.budgetRequests.add(-this.#requests[index]!);
      this.#pod.budgetRetries.add(-this.#retries[index]!);
      this.#requests[index] = 0;
      this.#retries[index] = 0;
    }
  }
}

function sum(slices: Float64Array): number {
  let total = 0;
  for (const count of slices) total += count;
  return total;
}
