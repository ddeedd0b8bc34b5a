/** XXH64 against its published values, which are Envoy's too, and against the definition in 64-bit integers. */
import t from 'tap';
import { randomInt, seededRandom } from '#base/random.ts';
import { xxHash64, type Hash64 } from '#base/xx-hash.ts';

const MASK = (1n << 64n) - 1n;
const PRIMES = [
  0x9e3779b185ebca87n,
  0xc2b2ae3d27d4eb4fn,
  0x165667b19e3779f9n,
  0x85ebca77c2b2ae63n,
  0x27d4eb2f165667c5n,
] as const;
const [P1, P2, P3, P4, P5] = PRIMES;

const rotate = (x: bigint, bits: number): bigint => ((x << BigInt(bits)) | (x >> BigInt(64 - bits))) & MASK;
const round = (lane: bigint, word: bigint): bigint => (rotate((lane + word * P2) & MASK, 31) * P1) & MASK;

function blocks(bytes: Buffer, seed: bigint): bigint {
  const lanes = [(seed + P1 + P2) & MASK, (seed + P2) & MASK, seed, (seed - P1) & MASK];
  for (let at = 0; at + 32 <= bytes.length; at += 32) {
    for (let lane = 0; lane < 4; lane++) lanes[lane] = round(lanes[lane]!, bytes.readBigUInt64LE(at + lane * 8));
  }
  const sum = [1, 7, 12, 18].reduce((total, bits, lane) => total + rotate(lanes[lane]!, bits), 0n) & MASK;
  return lanes.reduce((hash, lane) => ((hash ^ round(0n, lane)) * P1 + P4) & MASK, sum);
}

function definition(bytes: Buffer, seed: bigint): bigint {
  let hash = ((bytes.length >= 32 ? blocks(bytes, seed) : seed + P5) + BigInt(bytes.length)) & MASK;
  let at = bytes.length - (bytes.length % 32);
  for (; at + 8 <= bytes.length; at += 8) {
    hash = (rotate(hash ^ round(0n, bytes.readBigUInt64LE(at)), 27) * P1 + P4) & MASK;
  }
  if (at + 4 <= bytes.length) {
    hash = (rotate(hash ^ ((BigInt(bytes.readUInt32LE(at)) * P1) & MASK), 23) * P2 + P3) & MASK;
    at += 4;
  }
  for (; at < bytes.length; at++) hash = (rotate(hash ^ ((BigInt(bytes[at]!) * P5) & MASK), 11) * P1) & MASK;
  hash = ((hash ^ (hash >> 33n)) * P2) & MASK;
  hash = ((hash ^ (hash >> 29n)) * P3) & MASK;
  return hash ^ (hash >> 32n);
}

const whole = ({ hi, lo }: Hash64): bigint => (BigInt(hi) << 32n) | BigInt(lo);

t.test('published values', async (t) => {
  t.equal(whole(xxHash64('')), 0xef46db3751d8e999n);
  t.equal(whole(xxHash64('a')), 0xd24ec4f1a98c6e5bn);
  t.equal(whole(xxHash64('abc')), 0x44bc2cf5ad770999n);
  t.equal(whole(xxHash64('Nobody inspects the spammish repetition')), 0xfbcea83c8a378bf1n);
  t.equal(whole(xxHash64('foo')), 3_728_699_739_546_630_719n, "Envoy's hash_test.cc");
  t.equal(whole(xxHash64('bar')), 5_234_164_152_756_840_025n, "Envoy's hash_test.cc");
});

t.test('every length, byte and seed as the definition says', async (t) => {
  const random = seededRandom(11);
  for (let length = 0; length < 140; length++) {
    const bytes = Buffer.from(Array.from({ length }, () => randomInt(random, 256)));
    const seed = { hi: Math.floor(random() * 2 ** 32), lo: Math.floor(random() * 2 ** 32) };
    const text = bytes.toString('latin1');
    t.equal(whole(xxHash64(text)), definition(bytes, 0n), `${length} bytes`);
    t.equal(whole(xxHash64(text, seed)), definition(bytes, whole(seed)), `${length} bytes, seeded`);
  }
});
