/**
 * What a forwarding needs from around it; one object for each direction, made by the worker.
 * Knows no socket.
 */
import type { Clock } from '#base/clock.ts';
import type { Random } from '#base/random.ts';
import type { TimerWheel } from '#base/timer-wheel.ts';
import type { Exchange } from '../exchange/exchange.ts';
import type { RateLimits } from '../filters/rate-limit.ts';
import type { GivenUp } from './given-up.ts';

/** What became of a copy. `refused`: its backend is at a limit or has no endpoint. */
export type MirrorOutcome = 'answered' | 'failed' | 'too_long' | 'refused';

export interface ForwardContext {
  readonly direction: 'inbound' | 'outbound';
  readonly clock: Clock;
  readonly random: Random;
  readonly wheel: TimerWheel;
  /** Bodies up to this many bytes are kept for another try. */
  readonly replayBytes: number;
  /** Longer request bodies are refused with 413; 0: none is. */
  readonly maxBodyBytes: number;
  /** How long a request waits for a first endpoint to appear. */
  readonly endpointWaitMs: number;
  /** Requests for which trying again was in vain; of the pod. */
  readonly givenUp: GivenUp;
  /** Token buckets; of the pod. */
  readonly rates: RateLimits;
  /** Counts what became of a copy of a request. */
  readonly mirrored: (outcome: MirrorOutcome) => void;
  /** Counts that something else than the cluster answers. @param reason status, or kind of failure */
  readonly fellBack: (cluster: string, reason: string) => void;
  /** How many tunnels are open. */
  readonly tunnels: { add(count: number): void };
  /** Header work that the direction wants done once, before the route is chosen: tracing, identity. */
  readonly prepare: (exchange: Exchange) => void;
  /** The exchange is over: counters and access log, once. */
  readonly record: (exchange: Exchange) => void;
}
