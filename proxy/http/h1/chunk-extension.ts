/**
 * The grammar of chunk extensions (RFC 9112 7.1.1), one byte at a time. They mean nothing to us and end here; they are read so
 * that a quoted or nameless one cannot make another reader see the end of the line, and with it the chunk, elsewhere.
 */
import { CR, FIELD_VALUE, HTAB, SEMICOLON, SP, TOKEN_LOWER } from '../grammar.ts';

const EQUALS = 0x3d;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/** Not a state: the byte may not stand here. */
export const EXTENSION_REFUSED = -1;
/** The CR was read that ends the line. */
export const EXTENSION_END = 0;
/** Behind a semicolon. */
export const EXTENSION_START = 1;
const NAME = 2;
const AFTER_NAME = 3;
const VALUE_START = 4;
const VALUE = 5;
const QUOTED = 6;
const QUOTED_PAIR = 7;
const AFTER_QUOTE = 8;
const AFTER_VALUE = 9;

/** The state after `byte`; blanks are allowed where the grammar has BWS, but not before the CR. */
export function nextExtensionState(state: number, byte: number): number {
  if (state === QUOTED) return inQuotes(byte);
  if (state === QUOTED_PAIR) return FIELD_VALUE[byte] === 1 ? QUOTED : EXTENSION_REFUSED;
  if (TOKEN_LOWER[byte] !== 0) return afterTokenByte(state);
  if (byte === SP || byte === HTAB) return afterBlank(state);
  if (byte === QUOTE) return state === VALUE_START ? QUOTED : EXTENSION_REFUSED;
  if (byte === EQUALS) return state === NAME || state === AFTER_NAME ? VALUE_START : EXTENSION_REFUSED;
  if (byte === SEMICOLON)
    return state === EXTENSION_START || state === VALUE_START ? EXTENSION_REFUSED : EXTENSION_START;
  return byte === CR && (state === NAME || state === VALUE || state === AFTER_QUOTE)
    ? EXTENSION_END
    : EXTENSION_REFUSED;
}

function inQuotes(byte: number): number {
  if (byte === QUOTE) return AFTER_QUOTE;
  if (byte === BACKSLASH) return QUOTED_PAIR;
  return FIELD_VALUE[byte] === 1 ? QUOTED : EXTENSION_REFUSED;
}

function afterTokenByte(state: number): number {
  if (state === EXTENSION_START || state === NAME) return NAME;
  return state === VALUE_START || state === VALUE ? VALUE : EXTENSION_REFUSED;
}

function afterBlank(state: number): number {
  if (state === NAME || state === AFTER_NAME) return AFTER_NAME;
  if (state === VALUE || state === AFTER_QUOTE || state === AFTER_VALUE) return AFTER_VALUE;
  return state;
}
