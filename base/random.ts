/**
 * Random numbers as an argument, so that every choice can be repeated from a seed.
 * Not for secrets: keys, nonces and ids that must not be guessed come from node:crypto.
 */

/** A number in [0, 1). */
export type Random = () => number;

export const systemRandom: Random = Math.random;

/** The same numbers for the same seed (mulberry32: 32 bits of state, fit for tests and simulations). */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let z = state;
    z = Math.imul(z ^ (z >>> 15), z | 1);
    z ^= z + Math.imul(z ^ (z >>> 7), z | 61);
    return ((z ^ (z >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** An integer in [0, bound). */
export function randomInt(random: Random, bound: number): number {
  return Math.floor(random() * bound);
}
