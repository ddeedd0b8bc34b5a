/**
 * The times at which something happens to an exchange by itself, as one earliest moment, so that one entry in the timer wheel serves them all.
 * Knows no exchange: who owns it decides what a due time means.
 */
import type { Clock } from '#base/clock.ts';
import { Deadline, type TimerWheel } from '#base/timer-wheel.ts';
import type { ForwardConfig } from '../config/snapshot.ts';

export const NEVER = Number.POSITIVE_INFINITY;

export interface DeadlineOwner {
  /** Something is due; `arm` follows. */
  onDue(nowMs: number): void;
}

export class Deadlines extends Deadline {
  /** The whole request, to the answer's head. */
  requestMs = NEVER;
  /** All of a gRPC call, to the end of its answer. */
  callMs = NEVER;
  /** The try under way that is due first. */
  tryMs = NEVER;
  /** Another try beside those under way. */
  hedgeMs = NEVER;
  /** Waiting for an endpoint, a destination, the next try, or the end of a delay. */
  waitMs = NEVER;
  /** `100 Continue` is sent by us if nobody did. */
  continueMs = NEVER;
  /** Nothing moved. */
  idleMs = NEVER;
  readonly #owner: DeadlineOwner;
  readonly #clock: Clock;
  readonly #wheel: TimerWheel;
  #idleTimeoutMs = 0;
  #stopped = false;

  constructor(owner: DeadlineOwner, clock: Clock, wheel: TimerWheel) {
    super();
    this.#owner = owner;
    this.#clock = clock;
    this.#wheel = wheel;
  }

  /** Sets those that a route and the client name. @param callMs clock milliseconds @param outerTimeoutMs what the hop before leaves; 0: nothing said */
  admit(startMs: number, { timeoutMs, idleTimeoutMs }: ForwardConfig, callMs: number, outerTimeoutMs: number): void {
    if (timeoutMs > 0) this.requestMs = startMs + timeoutMs;
    if (outerTimeoutMs > 0) this.requestMs = Math.min(this.requestMs, startMs + outerTimeoutMs);
    if (idleTimeoutMs > 0) this.idleMs = startMs + idleTimeoutMs;
    this.#idleTimeoutMs = idleTimeoutMs;
    this.callMs = callMs;
  }

  /** Clears those that are met by the head of the answer. */
  answered(): void {
    this.requestMs = NEVER;
    this.tryMs = NEVER;
    this.hedgeMs = NEVER;
    this.continueMs = NEVER;
  }

  /** Bytes went one way or the other. */
  moved(): void {
    if (this.idleMs !== NEVER) this.idleMs = this.#clock.now() + this.#idleTimeoutMs;
  }

  /** To be called when one became earlier; what became later is found out when the time comes. */
  arm(): void {
    if (this.#stopped) return;
    const ofTries = Math.min(this.tryMs, this.hedgeMs, this.waitMs);
    const earliest = Math.min(ofTries, this.requestMs, this.callMs, this.continueMs, this.idleMs);
    if (earliest === NEVER) {
      if (this.wheelSlot >= 0) this.#wheel.cancel(this);
    } else if (this.wheelSlot < 0 || earliest < this.dueMs) {
      this.#wheel.schedule(this, Math.max(0, earliest - this.#clock.now()));
    }
  }

  /** Nothing happens by itself any more. */
  stop(): void {
    this.#stopped = true;
    if (this.wheelSlot >= 0) this.#wheel.cancel(this);
  }

  override onDeadline(): void {
    if (this.#stopped) return;
    this.#owner.onDue(this.#clock.now());
    this.arm();
  }
}
