/**
 * Writes the two primitives of a header block (RFC 7541 5) as latin1 text, one character a byte: frames are gathered as text and become bytes once.
 * Knows neither tables nor fields.
 */
import { huffmanEncode, huffmanLength } from './huffman.ts';

/** Each byte as text, so that the engine makes no string for it. */
export const BYTES: readonly string[] = Array.from({ length: 256 }, (_, byte) => String.fromCharCode(byte));

/** `value` in a prefix of `prefixBits`, below the bits of `flags`. */
export function integerText(flags: number, prefixBits: number, value: number): string {
  const full = (1 << prefixBits) - 1;
  if (value < full) return BYTES[flags | value]!;
  let text = BYTES[flags | full]!;
  let rest = value - full;
  while (rest >= 128) {
    text += BYTES[(rest & 0x7f) | 0x80]!;
    rest = Math.floor(rest / 128);
  }
  return text + BYTES[rest]!;
}

/** `text` as it is: for what is sent once, Huffman costs both sides more than the bytes do. */
export function plainText(text: string): string {
  return (text.length < 127 ? BYTES[text.length]! : integerText(0, 7, text.length)) + text;
}

/** `text` in Huffman code where that is shorter: for what goes into the table, and so is coded once. */
export function shortestText(text: string): string {
  const length = huffmanLength(text);
  return length < text.length ? integerText(0x80, 7, length) + huffmanEncode(text) : plainText(text);
}
