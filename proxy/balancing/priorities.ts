/**
 * Endpoints of several priorities, each with a picker of its own: the first takes everything while it is well, and leaves to the next what it
 * cannot take, before it is quite gone (Envoy's priority levels with its overprovisioning factor). Knows neither policies nor zones.
 *
 *   share of a level = min(1, 1.4 * available / all of the level), less what the levels before it take
 */
import type { Random } from '#base/random.ts';
import type { Hash64 } from '#base/xx-hash.ts';
import type { BalancedEndpoint, Picker } from '../exchange/destination.ts';

/** Envoy `overprovisioning_factor`: a level of which 72 % are available still takes everything. */
const OVERPROVISIONING = 1.4;
/** Shares are counted anew after it; who falls out meanwhile is not picked in any case. */
const REFRESH_MS = 100;

/** The first priority first. */
export function byPriority<E extends BalancedEndpoint>(endpoints: readonly E[]): readonly (readonly E[])[] {
  const levels = Map.groupBy(endpoints, ({ config }) => config.priority ?? 0);
  return [...levels].sort(([a], [b]) => a - b).map(([, level]) => level);
}

export class PriorityPicker<E extends BalancedEndpoint> implements Picker<E> {
  readonly endpoints: readonly E[];
  readonly #levels: readonly Picker<E>[];
  /** What the levels up to each one take together; the last is 1. */
  readonly #sums: Float64Array;
  #staleMs = -Infinity;

  constructor(levels: readonly Picker<E>[]) {
    this.#levels = levels;
    this.endpoints = levels.flatMap((level) => level.endpoints);
    this.#sums = new Float64Array(levels.length);
  }

  pick(nowMs: number, random: Random, tried: readonly E[], hash: Hash64 | null): E | null {
    if (nowMs >= this.#staleMs) this.#weigh(nowMs);
    // A key has one level too. The ring goes by the upper bits: by the same ones each level would use a part of its ring only.
    const point = hash === null ? random() : hash.lo / 0x1_0000_0000;
    let first = 0;
    while (first < this.#levels.length - 1 && point >= this.#sums[first]!) first++;
    const picked = this.#levels[first]!.pick(nowMs, random, tried, hash);
    if (picked !== null && (tried.length === 0 || !tried.includes(picked))) return picked;
    return this.#elsewhere(first, nowMs, random, tried, hash) ?? picked;
  }

  /** In another level, one that was not tried yet. */
  #elsewhere(but: number, nowMs: number, random: Random, tried: readonly E[], hash: Hash64 | null): E | null {
    for (let level = 0; level < this.#levels.length; level++) {
      if (level === but) continue;
      const picked = this.#levels[level]!.pick(nowMs, random, tried, hash);
      if (picked !== null && !tried.includes(picked)) return picked;
    }
    return null;
  }

  #weigh(nowMs: number): void {
    let sum = 0;
    for (const [level, { endpoints }] of this.#levels.entries()) {
      let available = 0;
      for (const endpoint of endpoints) {
        if (endpoint.config.healthy && endpoint.available && endpoint.passing) available++;
      }
      sum = Math.min(1, sum + (OVERPROVISIONING * available) / endpoints.length);
      this.#sums[level] = sum;
    }
    // All together are not enough: they take everything all the same, in proportion.
    if (sum > 0 && sum < 1) for (let level = 0; level < this.#sums.length; level++) this.#sums[level]! /= sum;
    this.#staleMs = nowMs + REFRESH_MS;
  }
}
