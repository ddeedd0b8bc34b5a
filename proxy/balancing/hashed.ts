/**
 * What pickers by hash share: a row of places, each an endpoint's; a hash stands at one, and whoever cannot take the request passes it on
 * to the next place of another. So an endpoint that is out gives away what is its own, and everything else stays. Knows no request.
 */
import type { Random } from '#base/random.ts';
import type { Hash64 } from '#base/xx-hash.ts';
import type { BalancedEndpoint } from '../exchange/destination.ts';
import { LivePicker } from './live.ts';

export abstract class HashedPicker<E extends BalancedEndpoint> extends LivePicker<E> {
  /** Indexes of `live`, place by place. Empty when nobody is live. */
  protected abstract readonly places: Uint16Array | Uint32Array;

  /** Where a hash stands; only asked when there are places. */
  protected abstract placeOf(hash: Hash64): number;

  /** Without hash, as Envoy does: any of them. */
  pick(nowMs: number, random: Random, tried: readonly E[], hash: Hash64 | null = null): E | null {
    if (hash === null || this.live.length === 0) return this.draw(nowMs, random, tried);
    const place = this.placeOf(hash);
    const index = this.places[place]!;
    if (this.isUsable(index, tried)) return this.live[index]!;
    return this.#next(place, tried) ?? this.#next(place, []);
  }

  #next(from: number, tried: readonly E[]): E | null {
    // Few places are looked at while some endpoint is usable, and none otherwise.
    if (!this.#someUsable(tried)) return null;
    const { places } = this;
    for (let steps = 0; steps < places.length; steps++) {
      const index = places[(from + steps) % places.length]!;
      if (this.isUsable(index, tried)) return this.live[index]!;
    }
    return null;
  }

  #someUsable(tried: readonly E[]): boolean {
    for (let index = 0; index < this.live.length; index++) if (this.isUsable(index, tried)) return true;
    return false;
  }
}

/** What is hashed of an endpoint; as in Envoy. */
export function addressKey({ config: { address, port } }: BalancedEndpoint): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}
