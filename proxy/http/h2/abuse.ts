/**
 * How much of what costs us more than the peer one connection may do: a budget for each kind, refilled by time and by honest work.
 * (CVE-2023-44487 rapid reset, CVE-2025-8671 MadeYouReset, CVE-2024-27919 CONTINUATION, CVE-2019-9512 to 9518 control floods.)
 * Knows no frame; the connection spends, and ends with ENHANCE_YOUR_CALM when a budget is used up.
 */

/** What is counted; also the label of the counter. */
export type AbuseReason =
  | 'resets'
  | 'settings'
  | 'pings'
  | 'priority'
  | 'empty-data'
  | 'window-updates'
  | 'continuation'
  | 'header-block'
  | 'outbound-control'
  | 'outbound-heads';

export interface Allowance {
  readonly burst: number;
  readonly perSecond: number;
}

export interface AbuseLimits {
  /**
   * Streams that ended before their answer: reset by the peer, or by us because the peer broke the rules on them.
   * A stream that runs to its end gives one back, so that only a peer that mostly resets runs out.
   */
  readonly resets: Allowance;
  readonly settings: Allowance;
  /** A DATA frame with content gives one back: bandwidth estimators ping as data comes. */
  readonly pings: Allowance;
  /** PRIORITY and frames of unknown type. A new stream gives some back. */
  readonly priority: Allowance;
  /** DATA without content that does not end its stream. One with content gives one back. */
  readonly emptyData: Allowance;
  /** A DATA frame of ours gives some back. */
  readonly windowUpdates: Allowance;
  /** CONTINUATION frames of one header block. */
  readonly maxContinuations: number;
  /** Frames that answer the peer (acknowledgements, resets, window updates) while it does not read. */
  readonly maxQueuedControl: number;
  /** Bytes of heads and trailers of ours while the peer does not read. */
  readonly maxQueuedHeadBytes: number;
}

/** nghttp2 1.61: resets 1000 and 33/s; queued control and CONTINUATION as there, the rest within what Envoy allows. */
export const DEFAULT_ABUSE_LIMITS: AbuseLimits = {
  resets: { burst: 1000, perSecond: 33 },
  settings: { burst: 100, perSecond: 10 },
  pings: { burst: 1000, perSecond: 100 },
  priority: { burst: 1000, perSecond: 10 },
  emptyData: { burst: 100, perSecond: 10 },
  windowUpdates: { burst: 5000, perSecond: 1000 },
  maxContinuations: 8,
  maxQueuedControl: 1000,
  maxQueuedHeadBytes: 8 * 1024 * 1024,
};

export class Budget {
  readonly #allowance: Allowance;
  #left: number;
  #filledMs: number;

  constructor(allowance: Allowance, nowMs: number) {
    this.#allowance = allowance;
    this.#left = allowance.burst;
    this.#filledMs = nowMs;
  }

  /** False: used up. */
  spend(nowMs: number): boolean {
    if (this.#left < 1) this.#fill(nowMs);
    if (this.#left < 1) return false;
    this.#left--;
    return true;
  }

  giveBack(amount: number): void {
    this.#left = Math.min(this.#allowance.burst, this.#left + amount);
  }

  #fill(nowMs: number): void {
    this.giveBack(((nowMs - this.#filledMs) / 1000) * this.#allowance.perSecond);
    this.#filledMs = nowMs;
  }
}

/** One of each for a connection. */
export class Budgets {
  readonly resets: Budget;
  readonly settings: Budget;
  readonly pings: Budget;
  readonly priority: Budget;
  readonly emptyData: Budget;
  readonly windowUpdates: Budget;

  constructor(limits: AbuseLimits, nowMs: number) {
    this.resets = new Budget(limits.resets, nowMs);
    this.settings = new Budget(limits.settings, nowMs);
    this.pings = new Budget(limits.pings, nowMs);
    this.priority = new Budget(limits.priority, nowMs);
    this.emptyData = new Budget(limits.emptyData, nowMs);
    this.windowUpdates = new Budget(limits.windowUpdates, nowMs);
  }

  /** A stream was opened. */
  onStream(): void {
    this.priority.giveBack(5);
    this.windowUpdates.giveBack(5);
  }

  /** DATA with content came. */
  onData(): void {
    this.pings.giveBack(1);
    this.emptyData.giveBack(1);
  }
}
