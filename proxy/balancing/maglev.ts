/**
 * Consistent hashing by a table that the endpoints fill in turn, each in an order of its own (Maglev, NSDI 2016, 3.4), as often as their weights say.
 * Evener than a ring and one step to look up; a little more moves when an endpoint leaves. The table is Envoy's, place by place.
 */
import { xxHash64, type Hash64 } from '#base/xx-hash.ts';
import type { BalancedEndpoint } from '../exchange/destination.ts';
import { addressKey, HashedPicker } from './hashed.ts';

interface Filler {
  readonly index: number;
  /** Share of all weight. */
  readonly share: number;
  /** The place it wants next, and how far it is from there to the one after. */
  place: number;
  readonly skip: number;
  /** What its turns have to add up to before it may fill again. */
  due: number;
}

const SECOND_SEED: Hash64 = { hi: 0, lo: 1 };
const FREE = 0xffff_ffff;

export class MaglevPicker<E extends BalancedEndpoint> extends HashedPicker<E> {
  protected readonly places: Uint32Array;

  /**
   * Costs about `tableSize x log(tableSize)` steps, some milliseconds for Envoy's default.
   * @param tableSize a prime, so that every order meets every place (Envoy `Maglev.table_size`)
   */
  constructor(endpoints: readonly E[], tableSize: number) {
    super(endpoints);
    const sum = this.weights.reduce((total, weight) => total + weight, 0);
    const fillers = this.live.map((endpoint, index) => {
      const key = addressKey(endpoint);
      const place = remainder(xxHash64(key), tableSize);
      const skip = remainder(xxHash64(key, SECOND_SEED), tableSize - 1) + 1;
      return { key, filler: { index, share: this.weights[index]! / sum, place, skip, due: 0 } };
    });
    // The turns must be the same in each sidecar.
    fillers.sort((a, b) => (a.key < b.key ? -1 : 1));
    this.places = fillTable(
      fillers.map(({ filler }) => filler),
      tableSize,
    );
  }

  protected placeOf(hash: Hash64): number {
    return remainder(hash, this.places.length);
  }
}

function fillTable(fillers: readonly Filler[], size: number): Uint32Array {
  if (fillers.length === 0) return new Uint32Array(0);
  const table = new Uint32Array(size).fill(FREE);
  const largest = Math.max(...fillers.map(({ share }) => share));
  let free = size;
  for (let turn = 1; ; turn++) {
    for (const filler of fillers) {
      if (turn * filler.share < filler.due) continue;
      filler.due += largest;
      while (table[filler.place] !== FREE) filler.place = (filler.place + filler.skip) % size;
      table[filler.place] = filler.index;
      if (--free === 0) return table;
    }
  }
}

/** @param by below 2^21, so that nothing is lost */
function remainder({ hi, lo }: Hash64, by: number): number {
  return ((hi % by) * (0x1_0000_0000 % by) + lo) % by;
}
