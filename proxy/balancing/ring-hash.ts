/**
 * Consistent hashing on a ring (Ketama): each endpoint has points on it by its weight, a request goes to the next point.
 * Points are hashed as in Envoy. How many there are differs: Envoy's number for each endpoint depends on how many endpoints there are, so that
 * one which leaves moves requests among the others too; ours is a power of two for a unit of weight, which nearly always stays.
 */
import { xxHash64, type Hash64 } from '#base/xx-hash.ts';
import type { BalancedEndpoint } from '../exchange/destination.ts';
import { addressKey, HashedPicker } from './hashed.ts';

/** Points of the lightest endpoint at least, so that weights such as 100 and 110 differ. */
const RESOLUTION = 8;

export interface RingSize {
  /** Envoy `minimum_ring_size`. */
  readonly minSize: number;
  /** Envoy `maximum_ring_size`; an endpoint has one point in any case. */
  readonly maxSize: number;
}

export class RingHashPicker<E extends BalancedEndpoint> extends HashedPicker<E> {
  protected readonly places: Uint32Array;
  /** Of each place, ascending: the upper 53 bits of its hash, which is what a number holds. */
  readonly #points: Float64Array;

  /** Costs O(points x log points). */
  constructor(endpoints: readonly E[], size: RingSize) {
    super(endpoints);
    const unit = pointsOfUnit(this.weights, size);
    const points: number[] = [];
    const owners: number[] = [];
    for (const [index, endpoint] of this.live.entries()) {
      const key = addressKey(endpoint);
      const count = Math.max(1, Math.round(this.weights[index]! * unit));
      for (let point = 0; point < count; point++) {
        points.push(upperBits(xxHash64(`${key}_${point}`)));
        owners.push(index);
      }
    }
    const order = Uint32Array.from(points.keys()).sort((a, b) => points[a]! - points[b]!);
    this.#points = Float64Array.from(order, (at) => points[at]!);
    this.places = Uint32Array.from(order, (at) => owners[at]!);
  }

  protected placeOf(hash: Hash64): number {
    const wanted = upperBits(hash);
    let low = 0;
    let high = this.#points.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#points[middle]! < wanted) low = middle + 1;
      else high = middle;
    }
    return low === this.#points.length ? 0 : low;
  }
}

function pointsOfUnit(weights: readonly number[], { minSize, maxSize }: RingSize): number {
  let sum = 0;
  let lightest = Infinity;
  for (const weight of weights) {
    sum += weight;
    lightest = Math.min(lightest, weight);
  }
  const wanted = 2 ** Math.ceil(Math.log2(Math.max(minSize / sum, RESOLUTION / lightest)));
  return wanted * sum <= maxSize ? wanted : 2 ** Math.floor(Math.log2(maxSize / sum));
}

function upperBits({ hi, lo }: Hash64): number {
  return hi * 0x20_00_00 + (lo >>> 11);
}
