/**
 * What connections of clients need to know, whatever their version of HTTP.
 */
import type { Clock } from '#base/clock.ts';
import type { TimerWheel } from '#base/timer-wheel.ts';
import type { Failure } from '../exchange/failure.ts';
import type { HeadLimits } from '../http/message.ts';
import type { Patience, Stall } from './patience.ts';

export interface ConnectionOptions {
  readonly clock: Clock;
  readonly wheel: TimerWheel;
  readonly limits: HeadLimits;
  /** From the first byte of a head to its last; also for the preface of HTTP/2. */
  readonly headTimeoutMs: number;
  /** Without a request. */
  readonly idleTimeoutMs: number;
  readonly patience: Patience;
  /** A request was refused before it became an exchange. */
  readonly onRefused: (failure: Failure) => void;
  /** A client stood still for too long, and what it stood still with is given up. */
  readonly onStalled: (stall: Stall) => void;
}
