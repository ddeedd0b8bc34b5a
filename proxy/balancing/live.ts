/**
 * What all pickers share: the endpoints that may be picked at all, a draw by weight, and the slow way out when draws find nobody.
 * Knows no policy and no priority.
 */
import { randomInt, type Random } from '#base/random.ts';
import type { Hash64 } from '#base/xx-hash.ts';
import type { SlowStartConfig } from '../config/balancers.ts';
import type { BalancedEndpoint, Picker } from '../exchange/destination.ts';
import { WeightedSampler } from './sampler.ts';
import { SlowStart } from './slow-start.ts';

/** Draws before every endpoint is looked at. */
const DRAWS = 4;

export abstract class LivePicker<E extends BalancedEndpoint> implements Picker<E> {
  readonly endpoints: readonly E[];
  /** Without those that the control plane says are unhealthy: they are not picked even if nobody else is there (panic threshold 0). */
  protected readonly live: readonly E[];
  /** Of `live`; what is not said or zero counts as 1 (Envoy `LbEndpoint.load_balancing_weight`). */
  protected readonly weights: readonly number[];
  /** Of indexes of `live`. */
  protected readonly sampler: WeightedSampler;
  /** Null: new endpoints have their whole share at once. */
  readonly #slowStart: SlowStart | null;

  constructor(endpoints: readonly E[], slowStart?: SlowStartConfig) {
    this.endpoints = endpoints;
    this.live = endpoints.filter((endpoint) => endpoint.config.healthy);
    this.weights = this.live.map((endpoint) => Math.max(1, endpoint.config.weight));
    this.sampler = new WeightedSampler(this.weights);
    this.#slowStart = slowStart === undefined ? null : new SlowStart(slowStart, this.live);
  }

  abstract pick(nowMs: number, random: Random, tried: readonly E[], hash: Hash64 | null): E | null;

  protected isUsable(index: number, tried: readonly E[]): boolean {
    const endpoint = this.live[index]!;
    return endpoint.available && endpoint.passing && (tried.length === 0 || !tried.includes(endpoint));
  }

  /** Whether an endpoint takes what it was drawn for: usable, and not held back while it is new. */
  protected takes(index: number, nowMs: number, random: Random, tried: readonly E[]): boolean {
    if (!this.isUsable(index, tried)) return false;
    return this.#slowStart === null || this.#slowStart.admits(this.live[index]!, nowMs, random);
  }

  /** Any usable endpoint, by weight; when nearly all are out, any of the rest with the same chance. */
  protected draw(nowMs: number, random: Random, tried: readonly E[]): E | null {
    if (this.live.length === 0) return null;
    for (let draws = 0; draws < DRAWS; draws++) {
      const index = this.sampler.draw(random);
      if (this.takes(index, nowMs, random, tried)) return this.live[index]!;
    }
    return this.#anyOf(random, tried) ?? this.#anyOf(random, []);
  }

  #anyOf(random: Random, tried: readonly E[]): E | null {
    let usable = 0;
    for (let index = 0; index < this.live.length; index++) if (this.isUsable(index, tried)) usable++;
    if (usable === 0) return null;
    let left = randomInt(random, usable);
    for (let index = 0; index < this.live.length; index++) {
      if (this.isUsable(index, tried) && left-- === 0) return this.live[index]!;
    }
    return null;
  }
}

export class RandomPicker<E extends BalancedEndpoint> extends LivePicker<E> {
  pick(nowMs: number, random: Random, tried: readonly E[]): E | null {
    return this.draw(nowMs, random, tried);
  }
}
