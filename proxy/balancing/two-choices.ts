/**
 * The better of two endpoints drawn at random: near to the best choice, without the herd that runs after the best.
 * Peak EWMA weighs latency and requests under way, least request only the latter. Knows no connection.
 *
 * Weights act on the draw, and on how much load counts; so shares are as the weights when idle and when loaded.
 */
import type { Random } from '#base/random.ts';
import type { BalancedEndpoint } from '../exchange/destination.ts';
import { LivePicker, weightOf } from './live.ts';
import { WeightedSampler } from './sampler.ts';

abstract class TwoChoicesPicker<E extends BalancedEndpoint> extends LivePicker<E> {
  /** Weights of `live`, with a mean of 1. */
  protected readonly weights: Float64Array;
  readonly #sampler: WeightedSampler;

  constructor(endpoints: readonly E[]) {
    super(endpoints);
    const weights = this.live.map(weightOf);
    const sum = weights.reduce((total, weight) => total + weight, 0);
    this.weights = Float64Array.from(weights, (weight) => (weight * weights.length) / sum);
    this.#sampler = new WeightedSampler(weights);
  }

  /** What it costs to send a request to `live[index]` now. */
  protected abstract cost(index: number, nowMs: number): number;

  pick(nowMs: number, random: Random, tried: readonly E[]): E | null {
    const size = this.live.length;
    if (size < 2) return size === 1 && this.live[0]!.available ? this.live[0]! : null;
    const first = this.#sampler.draw(random);
    const second = this.#sampler.drawOther(first, random);
    const firstUsable = this.#isUsable(first, tried);
    const secondUsable = this.#isUsable(second, tried);
    if (firstUsable && secondUsable) {
      return this.live[this.cost(second, nowMs) < this.cost(first, nowMs) ? second : first]!;
    }
    if (firstUsable) return this.live[first]!;
    if (secondUsable) return this.live[second]!;
    return this.scan(random, tried);
  }

  #isUsable(index: number, tried: readonly E[]): boolean {
    const endpoint = this.live[index]!;
    return endpoint.available && (tried.length === 0 || !tried.includes(endpoint));
  }
}

/** Finagle's and Linkerd's default: peak latency times the requests that would wait for it. */
export class PeakEwmaPicker<E extends BalancedEndpoint> extends TwoChoicesPicker<E> {
  protected override cost(index: number, nowMs: number): number {
    const endpoint = this.live[index]!;
    return endpoint.latency.estimateMs(nowMs) * (endpoint.inFlight / this.weights[index]! + 1);
  }
}

/** Envoy's `LEAST_REQUEST` with two choices; where Envoy turns to a schedule for unequal weights, the draw does it here. */
export class LeastRequestPicker<E extends BalancedEndpoint> extends TwoChoicesPicker<E> {
  protected override cost(index: number): number {
    return this.live[index]!.inFlight / this.weights[index]!;
  }
}
