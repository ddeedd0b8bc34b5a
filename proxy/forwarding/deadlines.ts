/**
 * The times at which something happens to an exchange by itself, as one earliest moment, so that one entry in the timer wheel serves them all.
 * Knows no exchange: who owns it decides what a due time means.
 */
export const NEVER = Number.POSITIVE_INFINITY;

export class Deadlines {
  /** The whole request, to the answer's head. */
  requestMs = NEVER;
  /** The present try. */
  tryMs = NEVER;
  /** Waiting for an endpoint, a destination, or the next try. */
  waitMs = NEVER;
  /** `100 Continue` is sent by us if nobody did. */
  continueMs = NEVER;
  /** Nothing moved. */
  idleMs = NEVER;

  get earliestMs(): number {
    return Math.min(this.requestMs, this.tryMs, this.waitMs, this.continueMs, this.idleMs);
  }
}
