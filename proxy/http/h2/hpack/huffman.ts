/**
 * The Huffman code of HPACK (RFC 7541 5.2, appendix B): decoding a byte at a time by a table of states, and encoding.
 * The code is canonical, so the lengths of its words say everything; the tables are made from them.
 * Knows no header.
 */

/** Bits of the word of each byte, and of EOS behind them. */
// prettier-ignore
const WORD_BITS: readonly number[] = [
  13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28,
  28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
  6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6,
  5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
  13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
  7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
  15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5,
  6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28,
  20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23,
  24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
  22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23,
  21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
  26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25,
  19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
  20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23,
  26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
  30,
];
const EOS = 256;

/** More text cannot come out of `byteCount` bytes: the shortest word has five bits. The decoder may write one byte more than it counts. */
export function maxDecodedBytes(byteCount: number): number {
  return Math.floor((byteCount * 8) / 5) + 2;
}

/** Words of the canonical code: counted up within a length, in the order of the symbols. */
function canonicalWords(): Uint32Array {
  const words = new Uint32Array(WORD_BITS.length);
  let next = 0;
  for (let bits = 1; bits <= 30; bits++) {
    next *= 2;
    WORD_BITS.forEach((length, symbol) => {
      if (length === bits) words[symbol] = next++;
    });
  }
  return words;
}

const WORDS: Uint32Array = canonicalWords();

/** The tree of the code: children of node n at 2n and 2n + 1. A leaf is -1 - symbol; nodes are few enough to fit in a byte. */
function codeTree(): Int16Array {
  const tree = new Int16Array(2 * EOS);
  let nodes = 1;
  WORD_BITS.forEach((bits, symbol) => {
    let node = 0;
    for (let bit = bits - 1; bit > 0; bit--) {
      const branch = 2 * node + ((WORDS[symbol]! >>> bit) & 1);
      if (tree[branch] === 0) tree[branch] = nodes++;
      node = tree[branch]!;
    }
    tree[2 * node + (WORDS[symbol]! & 1)] = -1 - symbol;
  });
  return tree;
}

const TREE: Int16Array = codeTree();

/**
 * What a byte does in a state, which is a node of the tree, at `state << 8 | byte`: bits 0-7 next state, 8-15 and 16-23 symbols, 24-25 how many.
 * Filled as needed: real texts come through few of its 256 KiB, and to make it whole would hold up the first request for milliseconds.
 */
const STEPS: Int32Array = new Int32Array(256 * 256);
const UNKNOWN = 0;
const REFUSED = -1;

function makeStep(state: number, byte: number): number {
  let node = state;
  let symbols = 0;
  let count = 0;
  for (let bit = 7; bit >= 0; bit--) {
    node = TREE[2 * node + ((byte >>> bit) & 1)]!;
    if (node >= 0) continue;
    const symbol = -1 - node;
    if (symbol === EOS) return REFUSED;
    symbols |= symbol << (8 * count++);
    node = 0;
  }
  return node | (symbols << 8) | (count << 24);
}

/** States in which a text may end (RFC 7541 5.2): at most seven bits into a word, all of them ones. */
function paddingStates(): Uint8Array {
  const allowed = new Uint8Array(256);
  for (let node = 0, bits = 0; bits <= 7; bits++) {
    allowed[node] = 1;
    node = TREE[2 * node + 1]!;
  }
  return allowed;
}

const MAY_END: Uint8Array = paddingStates();

/**
 * Decodes `source[start, end)` into `target`, which has room for `maxDecodedBytes`. Returns the number of bytes written, or -1
 * when the text spells EOS or does not end in a padding of at most seven ones.
 */
export function huffmanDecode(source: Buffer, start: number, end: number, target: Buffer): number {
  const table = STEPS;
  let state = 0;
  let written = 0;
  for (let at = start; at < end; at++) {
    const place = (state << 8) | source[at]!;
    let step = table[place]!;
    if (step === UNKNOWN) table[place] = step = makeStep(state, source[at]!);
    if (step === REFUSED) return -1;
    target[written] = step >>> 8;
    target[written + 1] = step >>> 16;
    written += step >>> 24;
    state = step & 0xff;
  }
  return MAY_END[state] === 1 ? written : -1;
}

/** Bytes of `text` (latin1) once encoded. */
export function huffmanLength(text: string): number {
  let bits = 0;
  for (let i = 0; i < text.length; i++) bits += WORD_BITS[text.charCodeAt(i) & 0xff]!;
  return (bits + 7) >>> 3;
}

/** `text` (latin1) encoded, one character a byte. */
export function huffmanEncode(text: string): string {
  let encoded = '';
  let pending = 0;
  let pendingBits = 0;
  for (let i = 0; i < text.length; i++) {
    const symbol = text.charCodeAt(i) & 0xff;
    for (let bit = WORD_BITS[symbol]! - 1; bit >= 0; bit--) {
      pending = (pending << 1) | ((WORDS[symbol]! >>> bit) & 1);
      if (++pendingBits < 8) continue;
      encoded += String.fromCharCode(pending);
      pending = 0;
      pendingBits = 0;
    }
  }
  if (pendingBits === 0) return encoded;
  const padding = 8 - pendingBits;
  return encoded + String.fromCharCode((pending << padding) | ((1 << padding) - 1));
}
