/**
 * The character classes and small grammars of HTTP (RFC 9110 5.6, 9112, RFC 3986), as lookup tables over bytes.
 * The only place that says which byte may stand where; knows no message and no header by name.
 */
export const HTAB = 0x09;
export const LF = 0x0a;
export const CR = 0x0d;
export const SP = 0x20;
export const COLON = 0x3a;
export const SEMICOLON = 0x3b;

function tableOf(allowed: (byte: number) => boolean): Uint8Array {
  return Uint8Array.from({ length: 256 }, (_, byte) => (allowed(byte) ? 1 : 0));
}

function setOf(characters: string): (byte: number) => boolean {
  const codes = new Set(Array.from(characters, (character) => character.charCodeAt(0)));
  return (byte) => codes.has(byte);
}

function isAlphanumeric(byte: number): boolean {
  return (byte >= 0x30 && byte <= 0x39) || (byte >= 0x41 && byte <= 0x5a) || (byte >= 0x61 && byte <= 0x7a);
}

function lowerCase(byte: number): number {
  return byte >= 0x41 && byte <= 0x5a ? byte + 0x20 : byte;
}

const isTokenMark = setOf("!#$%&'*+-.^_`|~");
const isHostMark = setOf("-._~!$&'()*+;=%");

/** tchar (RFC 9110 5.6.2) to its lower-case byte; 0: not a tchar. */
export const TOKEN_LOWER: Uint8Array = Uint8Array.from({ length: 256 }, (_, byte) =>
  isAlphanumeric(byte) || isTokenMark(byte) ? lowerCase(byte) : 0,
);

/** What a field value may hold (RFC 9110 5.5): HTAB, SP, VCHAR and obs-text; no other control, no DEL. */
export const FIELD_VALUE: Uint8Array = tableOf((byte) => byte === HTAB || (byte >= SP && byte !== 0x7f));

/**
 * What a request target may hold: visible ASCII without `#`. Wider than RFC 3986, because `|`, `[`, `{`, `"` and `\` occur in
 * real queries and cannot be mistaken for framing; the path normaliser decides what they mean.
 */
export const TARGET: Uint8Array = tableOf((byte) => byte > SP && byte < 0x7f && byte !== 0x23);

/** reg-name (RFC 3986 3.2.2) without the comma, which is how two joined Host fields look. */
const HOST: Uint8Array = tableOf((byte) => isAlphanumeric(byte) || isHostMark(byte));

/** Value of a HEXDIG; 255: not one. */
export const HEX_VALUE: Uint8Array = Uint8Array.from({ length: 256 }, (_, byte) => {
  const digit = '0123456789abcdef'.indexOf(String.fromCharCode(lowerCase(byte)));
  return digit === -1 ? 255 : digit;
});

function isHex(code: number): boolean {
  return code < 256 && HEX_VALUE[code] !== 255;
}

/** True for a non-empty token in lower case. */
export function isLowerToken(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    // The table has 0 for what is no tchar, which NUL must not be equal to.
    if (code > 255 || code === 0 || TOKEN_LOWER[code] !== code) return false;
  }
  return text.length > 0;
}

/** True when each character is a byte that may stand in a field value: nothing that could end the line, now or after encoding as latin1. */
export function isFieldValue(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code > 255 || FIELD_VALUE[code] === 0) return false;
  }
  return true;
}

/** 1*DIGIT up to 2^53-1 (RFC 9110 8.6); -1 for everything else, lists and signs included. */
export function parseDecimal(text: string): number {
  let value = 0;
  for (let i = 0; i < text.length; i++) {
    const digit = text.charCodeAt(i) - 0x30;
    if (digit < 0 || digit > 9) return -1;
    value = value * 10 + digit;
    if (value > Number.MAX_SAFE_INTEGER) return -1;
  }
  return text.length === 0 ? -1 : value;
}

/** The members of a comma-separated list (RFC 9110 5.6.1), trimmed, lower-case, without the empty ones. */
export function listMembers(value: string): string[] {
  return value
    .toLowerCase()
    .split(',')
    .map((member) => member.trim())
    .filter((member) => member !== '');
}

function isPort(text: string): boolean {
  return text.length <= 5 && parseDecimal(text) >= 0 && parseDecimal(text) <= 65_535;
}

/** `[` IPv6address `]` by its characters and colons; no zone and no IPvFuture (RFC 3986 3.2.2). Returns the index after `]`, or -1. */
function ipv6End(text: string): number {
  const close = text.indexOf(']');
  if (close < 3 || close > 46) return -1;
  let colons = 0;
  for (let i = 1; i < close; i++) {
    const code = text.charCodeAt(i);
    if (code === COLON) colons++;
    else if (!isHex(code) && code !== 0x2e) return -1;
  }
  return colons >= 2 && colons <= 8 ? close + 1 : -1;
}

function regNameEnd(text: string): number {
  let i = 0;
  for (; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === COLON) break;
    if (code > 255 || HOST[code] === 0) return -1;
    if (code === 0x25) {
      if (!isHex(text.charCodeAt(i + 1)) || !isHex(text.charCodeAt(i + 2))) return -1;
      i += 2;
    }
  }
  return i === 0 ? -1 : i;
}

/**
 * `host[:port]` in lower case as the model keeps it, or null when it is not one (RFC 9110 7.2: no userinfo, no path, no list).
 * An empty port (`a:`) is dropped, any other is kept as given.
 */
export function normalizeAuthority(text: string): string | null {
  const end = text.charCodeAt(0) === 0x5b ? ipv6End(text) : regNameEnd(text);
  if (end === -1 || text.length > 300) return null;
  if (end === text.length) return text.toLowerCase();
  if (text.charCodeAt(end) !== COLON) return null;
  if (end + 1 === text.length) return text.slice(0, end).toLowerCase();
  return isPort(text.slice(end + 1)) ? text.toLowerCase() : null;
}
