/**
 * Each endpoint in turn, as often as its weight says, without bursts: gRPC's static stride scheduler, which needs no state for
 * an endpoint and so can start anywhere (grpc `static_stride_scheduler.h`). Knows no load.
 */
import { randomInt, type Random } from '#base/random.ts';
import type { SlowStartConfig } from '../config/balancers.ts';
import type { BalancedEndpoint } from '../exchange/destination.ts';
import { LivePicker } from './live.ts';

/** The weight that the heaviest endpoint is scaled to; it is never passed over. */
const FULL = 0xff_ff;

export class RoundRobinPicker<E extends BalancedEndpoint> extends LivePicker<E> {
  readonly #strides: Uint16Array;
  /** Counts the places in the schedule, turned back after `FULL` rounds, when the schedule repeats; -1 before the first pick. */
  #sequence = -1;

  constructor(endpoints: readonly E[], slowStart?: SlowStartConfig) {
    super(endpoints, slowStart);
    const heaviest = this.weights.reduce((most, weight) => Math.max(most, weight), 1);
    this.#strides = Uint16Array.from(this.weights, (weight) => Math.max(1, Math.round((weight * FULL) / heaviest)));
  }

  pick(nowMs: number, random: Random, tried: readonly E[]): E | null {
    const size = this.live.length;
    if (size === 0) return null;
    // Many sidecars start at the same time; they must not all begin with the same endpoint.
    if (this.#sequence < 0) this.#sequence = randomInt(random, size * FULL);
    const index = this.#next();
    // Not the next one in turn: it would then have the missing one's turns besides its own.
    return this.takes(index, nowMs, random, tried) ? this.live[index]! : this.draw(nowMs, random, tried);
  }

  /** The heaviest endpoint has a place in every round, so this ends within one. */
  #next(): number {
    const size = this.live.length;
    for (;;) {
      this.#sequence = (this.#sequence + 1) % (size * FULL);
      const index = this.#sequence % size;
      const round = Math.floor(this.#sequence / size);
      const weight = this.#strides[index]!;
      // Odd places are half a round ahead, so that light endpoints are not all served in the same round.
      const phase = (weight * round + (index % 2) * (FULL >> 1)) % FULL;
      if (phase >= FULL - weight) return index;
    }
  }
}
