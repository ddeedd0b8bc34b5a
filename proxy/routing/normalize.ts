/**
 * One way to write a path (RFC 3986 6.2.2), so that authorization, routing and the application see the same one.
 * Levels and results are Istio's (`pathNormalization.normalization`), which are Envoy's. Case, `;parameters` and double encoding
 * are left alone. Knows no route and no policy.
 */

/**
 * `none`: only a fragment is dropped. `base`: unreserved escapes decoded, `\` turned into `/`, dot segments removed.
 * `merge-slashes`: and runs of slashes are one. `decode-and-merge-slashes`: and `%2f` and `%5c` are slashes.
 */
export type NormalizationLevel = 'none' | 'base' | 'merge-slashes' | 'decode-and-merge-slashes';

export const DEFAULT_NORMALIZATION: NormalizationLevel = 'base';

/** Unreserved and sub-delims of RFC 3986, `:`, `@` and the few others that every level passes on; `/` and `.` are looked at apart. */
const PASSED = charTable("-_~!$&'()*+,;=:@|^[]/.");
/** Escapes of these mean the same as themselves (RFC 3986 6.2.2.2). */
const UNRESERVED = charTable('-_~.');

const SLASH = 0x2f;
const DOT = 0x2e;
const PERCENT = 0x25;
const BACKSLASH = 0x5c;
const HEX_DIGIT = /^[0-9a-f]$/i;

/** True for nearly every path there is: then each level leaves it as it is, and nothing needs to be built. */
export function isPlainPath(path: string): boolean {
  if (path.charCodeAt(0) !== SLASH) return false;
  let before = 0;
  for (let i = 0; i < path.length; i++) {
    const code = path.charCodeAt(i);
    if (code === 0x3f) return !path.includes('#', i);
    if (code > 0x7f || PASSED[code] === 0) return false;
    if (before === SLASH && (code === SLASH || code === DOT)) return false;
    before = code;
  }
  return true;
}

/**
 * The path in its one form, query kept as it is; null when it must be refused with 400: an escaped NUL, what is no byte, or no slash at its beginning.
 * Doing it twice changes nothing more. `*` (OPTIONS) stays.
 * @param path with query
 */
export function normalizePath(path: string, level: NormalizationLevel = DEFAULT_NORMALIZATION): string | null {
  if (isPlainPath(path) || path === '*') return path;
  if (!path.startsWith('/')) return null;
  const hash = path.indexOf('#');
  const whole = hash < 0 ? path : path.slice(0, hash);
  if (level === 'none') return whole;
  const mark = whole.indexOf('?');
  const query = mark < 0 ? '' : whole.slice(mark);
  const decoded = decodePath(mark < 0 ? whole : whole.slice(0, mark), level === 'decode-and-merge-slashes');
  if (decoded === null) return null;
  const resolved = removeDotSegments(decoded);
  return (level === 'base' ? resolved : resolved.replaceAll(/\/{2,}/g, '/')) + query;
}

function decodePath(path: string, decodeSlashes: boolean): string | null {
  let out = '';
  // A `%` that begins no escape is kept. Digits decoded right behind it could make one of it, so they stay escaped.
  let digitsWanted = 0;
  for (let i = 0; i < path.length; i++) {
    const code = path.charCodeAt(i);
    const byte = code === PERCENT ? escapedByte(path, i) : -1;
    if (byte === 0 || code > 0xff) return null;
    let part = byte < 0 ? literal(code) : decodeByte(byte, path.slice(i, i + 3), decodeSlashes);
    const isDigit = HEX_DIGIT.test(part);
    if (byte > 0 && isDigit && digitsWanted > 0) part = path.slice(i, i + 3);
    if (code === PERCENT && byte < 0) digitsWanted = 2;
    else digitsWanted = isDigit && byte < 0 ? Math.max(0, digitsWanted - 1) : 0;
    out += part;
    if (byte > 0) i += 2;
  }
  return out;
}

/** The byte of the escape at `index`, or -1 when there is none. */
function escapedByte(path: string, index: number): number {
  const digits = path.slice(index + 1, index + 3);
  return /^[0-9a-f]{2}$/i.test(digits) ? Number.parseInt(digits, 16) : -1;
}

function decodeByte(byte: number, escape: string, decodeSlashes: boolean): string {
  if (byte < 0x80 && UNRESERVED[byte] === 1) return String.fromCharCode(byte);
  return decodeSlashes && (byte === SLASH || byte === BACKSLASH) ? '/' : escape;
}

function literal(code: number): string {
  if (code === BACKSLASH) return '/';
  if (code === PERCENT || (code < 0x80 && PASSED[code] === 1)) return String.fromCharCode(code);
  return `%${code.toString(16).toUpperCase().padStart(2, '0')}`;
}

/** RFC 3986 5.2.4. */
function removeDotSegments(path: string): string {
  const segments = path.split('/');
  const kept: string[] = [];
  for (let i = 1; i < segments.length; i++) {
    const segment = segments[i]!;
    const isDots = segment === '.' || segment === '..';
    if (segment === '..') kept.pop();
    if (!isDots) kept.push(segment);
    else if (i === segments.length - 1) kept.push('');
  }
  return `/${kept.join('/')}`;
}

function charTable(punctuation: string): Uint8Array {
  const table = new Uint8Array(128);
  const letters = 'abcdefghijklmnopqrstuvwxyz';
  for (const char of `0123456789${letters}${letters.toUpperCase()}${punctuation}`) table[char.charCodeAt(0)] = 1;
  return table;
}
