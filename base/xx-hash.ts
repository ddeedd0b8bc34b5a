/**
 * XXH64 of a text (github.com/Cyan4973/xxHash, doc/xxhash_spec.md), the hash of Envoy's consistent balancers.
 * JavaScript has no fast 64-bit integers: each number is two halves, and the one that a step works on stands in `hi` and `lo`.
 */

/** 64 bits, both halves unsigned. */
export interface Hash64 {
  readonly hi: number;
  readonly lo: number;
}

const P1: Hash64 = { hi: 0x9e3779b1, lo: 0x85ebca87 };
const P2: Hash64 = { hi: 0xc2b2ae3d, lo: 0x27d4eb4f };
const P3: Hash64 = { hi: 0x165667b1, lo: 0x9e3779f9 };
const P4: Hash64 = { hi: 0x85ebca77, lo: 0xc2b2ae63 };
const P5: Hash64 = { hi: 0x27d4eb2f, lo: 0x165667c5 };
const ZERO: Hash64 = { hi: 0, lo: 0 };

/** Signed, for V8 keeps those without an object. */
let hi = 0;
let lo = 0;

function set(high: number, low: number): void {
  hi = high | 0;
  lo = low | 0;
}

function add(high: number, low: number): void {
  const sum = (lo >>> 0) + (low >>> 0);
  set(hi + high + (sum > 0xffff_ffff ? 1 : 0), sum);
}

function xor(high: number, low: number): void {
  set(hi ^ high, lo ^ low);
}

function multiply(by: Hash64): void {
  const a0 = lo & 0xffff;
  const a1 = lo >>> 16;
  const b0 = by.lo & 0xffff;
  const b1 = by.lo >>> 16;
  const first = a1 * b0 + ((a0 * b0) >>> 16);
  const second = a0 * b1 + (first & 0xffff);
  const carried = a1 * b1 + (first >>> 16) + (second >>> 16);
  set(carried + Math.imul(hi, by.lo) + Math.imul(lo, by.hi), Math.imul(lo, by.lo));
}

/** @param bits from 1 to 31 */
function rotate(bits: number): void {
  set((hi << bits) | (lo >>> (32 - bits)), (lo << bits) | (hi >>> (32 - bits)));
}

function round(): void {
  multiply(P2);
  rotate(31);
  multiply(P1);
}

function word(text: string, at: number): number {
  return (
    (text.charCodeAt(at) & 0xff) |
    ((text.charCodeAt(at + 1) & 0xff) << 8) |
    ((text.charCodeAt(at + 2) & 0xff) << 16) |
    (text.charCodeAt(at + 3) << 24)
  );
}

/** Four lanes over blocks of 32 bytes; for texts of at least one. */
function hashBlocks(text: string, seed: Hash64): void {
  const lanes: Hash64[] = [];
  for (const start of [[P1, P2], [P2], [], [null]] as const) {
    set(seed.hi, seed.lo);
    for (const prime of start) {
      if (prime === null) add(~P1.hi, -P1.lo);
      else add(prime.hi, prime.lo);
    }
    lanes.push({ hi, lo });
  }
  for (let at = 0; at + 32 <= text.length; at += 32) {
    for (let lane = 0; lane < 4; lane++) {
      const start = at + lane * 8;
      set(word(text, start + 4), word(text, start));
      multiply(P2);
      add(lanes[lane]!.hi, lanes[lane]!.lo);
      rotate(31);
      multiply(P1);
      lanes[lane] = { hi, lo };
    }
  }
  joinLanes(lanes);
}

const JOIN = [1, 7, 12, 18];

function joinLanes(lanes: readonly Hash64[]): void {
  let sum = ZERO;
  for (const [lane, value] of lanes.entries()) {
    set(value.hi, value.lo);
    rotate(JOIN[lane]!);
    add(sum.hi, sum.lo);
    sum = { hi, lo };
  }
  for (const value of lanes) {
    set(value.hi, value.lo);
    round();
    xor(sum.hi, sum.lo);
    multiply(P1);
    add(P4.hi, P4.lo);
    sum = { hi, lo };
  }
}

/** What is left behind the blocks. */
function hashTail(text: string): void {
  let at = text.length & ~31;
  for (; at + 8 <= text.length; at += 8) {
    const high = hi;
    const low = lo;
    set(word(text, at + 4), word(text, at));
    round();
    xor(high, low);
    rotate(27);
    multiply(P1);
    add(P4.hi, P4.lo);
  }
  if (at + 4 <= text.length) {
    const high = hi;
    const low = lo;
    set(0, word(text, at));
    multiply(P1);
    xor(high, low);
    rotate(23);
    multiply(P2);
    add(P3.hi, P3.lo);
    at += 4;
  }
  for (; at < text.length; at++) {
    const high = hi;
    const low = lo;
    set(0, text.charCodeAt(at) & 0xff);
    multiply(P5);
    xor(high, low);
    rotate(11);
    multiply(P1);
  }
}

/** @param text latin1: one byte a character */
export function xxHash64(text: string, seed: Hash64 = ZERO): Hash64 {
  if (text.length >= 32) hashBlocks(text, seed);
  else {
    set(seed.hi, seed.lo);
    add(P5.hi, P5.lo);
  }
  add(0, text.length);
  hashTail(text);
  xor(0, hi >>> 1);
  multiply(P2);
  xor(hi >>> 29, (hi << 3) | (lo >>> 29));
  multiply(P3);
  xor(0, hi);
  return { hi: hi >>> 0, lo: lo >>> 0 };
}
