/**
 * Token buckets by the thousand in one block of memory that the workers of a pod may share: a time for each key (GCRA, the generic cell rate
 * algorithm: what a bucket that fills steadily would do), in a table of fixed size. Knows no request and no policy.
 *
 * A key has four places. When all are taken, the bucket that is fullest again goes; one that is full says no more than none at all.
 */

const SETS = 4096;
const WAYS = 4;
const PLACES = SETS * WAYS;
/** Tags, one for each place, and a seed; then the times. */
const TAG_BYTES = PLACES * Int32Array.BYTES_PER_ELEMENT;
const TRIES = 8;

export interface Bucket {
  /** Nanoseconds in which one token comes. */
  readonly tokenNs: bigint;
  /** Tokens of a full bucket. */
  readonly size: bigint;
}

export interface Taken {
  readonly allowed: boolean;
  /** Tokens left. */
  readonly remaining: number;
  /** Milliseconds until there is a token again; 0 when there is one. */
  readonly retryMs: number;
  /** Milliseconds until the bucket is full. */
  readonly fullMs: number;
}

export function allocateRates(): SharedArrayBuffer {
  return new SharedArrayBuffer(TAG_BYTES + PLACES * BigInt64Array.BYTES_PER_ELEMENT);
}

export class RateTable {
  readonly #tags: Int32Array;
  /** Of each place: when its bucket is full, in nanoseconds of the wall clock. */
  readonly #fullAt: BigInt64Array;

  /** @param memory of `allocateRates` */
  constructor(memory: SharedArrayBuffer) {
    this.#tags = new Int32Array(memory, 0, PLACES);
    this.#fullAt = new BigInt64Array(memory, TAG_BYTES, PLACES);
  }

  /** Takes one token out of the bucket of `key`. @param nowWallMs wall clock: threads have it in common */
  take(key: string, { tokenNs, size }: Bucket, nowWallMs: number): Taken {
    const now = BigInt(Math.trunc(nowWallMs * 1000)) * 1000n;
    const at = this.#placeOf(key, now);
    const whole = tokenNs * size;
    for (let i = 0; i < TRIES; i++) {
      const before = Atomics.load(this.#fullAt, at);
      let full = before > now ? before : now;
      if (full - now > whole) {
        // Further away than an empty bucket can be: the wall clock was set back.
        full = now + whole;
        Atomics.compareExchange(this.#fullAt, at, before, full);
      }
      const after = full + tokenNs;
      if (after - now > whole) return taken(false, 0n, after - whole - now, full - now);
      if (Atomics.compareExchange(this.#fullAt, at, before, after) === before) {
        return taken(true, (whole - (after - now)) / tokenNs, 0n, after - now);
      }
    }
    // So many threads at the same bucket at once: it is as good as empty.
    return taken(false, 0n, tokenNs, whole);
  }

  #placeOf(key: string, now: bigint): number {
    const first = (hash(key, 0x811c9dc5) % SETS) * WAYS;
    // 0 is a place that nobody took yet.
    const tag = hash(key, 0x9e3779b9) | 1;
    let oldest = first;
    for (let at = first; at < first + WAYS; at++) {
      if (Atomics.load(this.#tags, at) === (tag | 0)) return at;
      if (Atomics.load(this.#fullAt, at) < Atomics.load(this.#fullAt, oldest)) oldest = at;
    }
    Atomics.store(this.#tags, oldest, tag | 0);
    Atomics.store(this.#fullAt, oldest, now);
    return oldest;
  }
}

function taken(allowed: boolean, remaining: bigint, retryNs: bigint, fullNs: bigint): Taken {
  return { allowed, remaining: Number(remaining), retryMs: Number(retryNs) / 1e6, fullMs: Number(fullNs) / 1e6 };
}

/** FNV-1a with a last stir, unsigned. */
function hash(text: string, seed: number): number {
  let h = seed;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
  h = Math.imul(h ^ (h >>> 15), 0x85ebca6b);
  return (h ^ (h >>> 13)) >>> 0;
}
