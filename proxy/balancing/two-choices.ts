/**
 * The better of two endpoints drawn at random: near to the best choice, without the herd that runs after the best.
 * Peak EWMA weighs latency and requests under way, least request only the latter. Knows no connection.
 *
 * Weights act on the draw, and on how much load counts; so shares are as the weights when idle and when loaded.
 */
import type { Random } from '#base/random.ts';
import type { SlowStartConfig } from '../config/balancers.ts';
import type { BalancedEndpoint } from '../exchange/destination.ts';
import { LivePicker } from './live.ts';

abstract class TwoChoicesPicker<E extends BalancedEndpoint> extends LivePicker<E> {
  /** Capacity of `live[index]` beside the mean, which is 1. */
  protected readonly capacity: Float64Array;

  constructor(endpoints: readonly E[], slowStart?: SlowStartConfig) {
    super(endpoints, slowStart);
    const sum = this.weights.reduce((total, weight) => total + weight, 0);
    this.capacity = Float64Array.from(this.weights, (weight) => (weight * this.weights.length) / sum);
  }

  /** What it costs to send a request to `live[index]` now. */
  protected abstract cost(index: number, nowMs: number): number;

  pick(nowMs: number, random: Random, tried: readonly E[]): E | null {
    if (this.live.length < 2) return this.draw(nowMs, random, tried);
    const first = this.sampler.draw(random);
    const second = this.sampler.drawOther(first, random);
    const isFirstUsable = this.takes(first, nowMs, random, tried);
    const isSecondUsable = this.takes(second, nowMs, random, tried);
    if (isFirstUsable && isSecondUsable) {
      return this.live[this.cost(second, nowMs) < this.cost(first, nowMs) ? second : first]!;
    }
    if (isFirstUsable) return this.live[first]!;
    return isSecondUsable ? this.live[second]! : this.draw(nowMs, random, tried);
  }
}

/** Finagle's and Linkerd's default: peak latency times the requests that would wait for it. */
export class PeakEwmaPicker<E extends BalancedEndpoint> extends TwoChoicesPicker<E> {
  protected override cost(index: number, nowMs: number): number {
    const endpoint = this.live[index]!;
    return endpoint.latency.estimateMs(nowMs) * (endpoint.inFlight / this.capacity[index]! + 1);
  }
}

/** Envoy's `LEAST_REQUEST` with two choices; where Envoy turns to a schedule for unequal weights, the draw does it here. */
export class LeastRequestPicker<E extends BalancedEndpoint> extends TwoChoicesPicker<E> {
  protected override cost(index: number): number {
    return this.live[index]!.inFlight / this.capacity[index]!;
  }
}
