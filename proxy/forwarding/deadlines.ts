/**
 * The times at which something happens to an exchange by itself, as one earliest moment, so that one entry in the timer wheel serves them all.
 * Knows no exchange: who owns it decides what a due time means.
 */
import type { ForwardConfig } from '../config/snapshot.ts';

export const NEVER = Number.POSITIVE_INFINITY;

export class Deadlines {
  /** The whole request, to the answer's head. */
  requestMs = NEVER;
  /** All of a gRPC call, to the end of its answer. */
  callMs = NEVER;
  /** The present try. */
  tryMs = NEVER;
  /** Waiting for an endpoint, a destination, or the next try. */
  waitMs = NEVER;
  /** `100 Continue` is sent by us if nobody did. */
  continueMs = NEVER;
  /** Nothing moved. */
  idleMs = NEVER;

  get earliestMs(): number {
    return Math.min(this.requestMs, this.callMs, this.tryMs, this.waitMs, this.continueMs, this.idleMs);
  }

  /** Sets those that a route and the client name. @param callMs clock milliseconds @param outerTimeoutMs what the hop before leaves; 0: nothing said */
  admit(startMs: number, { timeoutMs, idleTimeoutMs }: ForwardConfig, callMs: number, outerTimeoutMs: number): void {
    if (timeoutMs > 0) this.requestMs = startMs + timeoutMs;
    if (outerTimeoutMs > 0) this.requestMs = Math.min(this.requestMs, startMs + outerTimeoutMs);
    if (idleTimeoutMs > 0) this.idleMs = startMs + idleTimeoutMs;
    this.callMs = callMs;
  }

  /** Clears those that are met by the head of the answer. */
  answered(): void {
    this.requestMs = NEVER;
    this.tryMs = NEVER;
    this.continueMs = NEVER;
  }
}
