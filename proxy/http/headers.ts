/**
 * A header section as one flat array, and the rules for fields that belong to one hop only (RFC 9110 7.6.1).
 * Names are lower-case tokens; values are latin1 text without surrounding whitespace, byte for byte as received.
 */
import { isFieldValue, isLowerToken, listMembers } from './grammar.ts';

/** Looked at by a few fields only, so a linear search beats a map: no hashing, no objects, and order and duplicates are kept. */
export class HeaderList {
  /** name, value, name, value ... Read it freely; change it through the methods, which keep it valid. */
  readonly fields: string[];

  /** Takes ownership of `fields`, which must be valid: only codecs and literals pass any. */
  constructor(fields: string[] = []) {
    this.fields = fields;
  }

  /** Number of field lines. */
  get size(): number {
    return this.fields.length >>> 1;
  }

  /** The first value of `name` (lower-case). */
  get(name: string): string | undefined {
    const fields = this.fields;
    for (let i = 0; i < fields.length; i += 2) if (fields[i] === name) return fields[i + 1];
    return undefined;
  }

  getAll(name: string): string[] {
    const values: string[] = [];
    const fields = this.fields;
    for (let i = 0; i < fields.length; i += 2) if (fields[i] === name) values.push(fields[i + 1]!);
    return values;
  }

  has(name: string): boolean {
    const fields = this.fields;
    for (let i = 0; i < fields.length; i += 2) if (fields[i] === name) return true;
    return false;
  }

  /** Replaces every line of `name` by one, at the place of the first. Throws like `add`. */
  set(name: string, value: string): void {
    assertLine(name, value);
    this.setOwn(name, value);
  }

  /** As `set`, unchecked: for a name and a value that this program has made of valid parts. */
  setOwn(name: string, value: string): void {
    const fields = this.fields;
    for (let i = 0; i < fields.length; i += 2) {
      if (fields[i] !== name) continue;
      fields[i + 1] = value;
      this.#removeFrom(i + 2, name);
      return;
    }
    fields.push(name, value);
  }

  /** Appends a line. Throws on a name that is no lower-case token and on a value that could end the line: a filter's bug, not a peer's. */
  add(name: string, value: string): void {
    assertLine(name, value);
    this.fields.push(name, value);
  }

  /** Removes every line of `name`; tells whether there was one. */
  remove(name: string): boolean {
    return this.#removeFrom(0, name);
  }

  clone(): HeaderList {
    return new HeaderList(this.fields.slice());
  }

  #removeFrom(from: number, name: string): boolean {
    const fields = this.fields;
    let kept = from;
    for (let i = from; i < fields.length; i += 2) {
      if (fields[i] === name) continue;
      if (kept !== i) {
        fields[kept] = fields[i]!;
        fields[kept + 1] = fields[i + 1]!;
      }
      kept += 2;
    }
    const removed = kept < fields.length;
    if (removed) fields.length = kept;
    return removed;
  }
}

function assertLine(name: string, value: string): void {
  if (!isLowerToken(name)) throw new TypeError(`not a lower-case field name: ${JSON.stringify(name)}`);
  if (!isFieldValue(value))
    throw new TypeError(`field ${name}: a value may not hold control characters or code points above 255`);
}

/** Fields that end at each hop, whatever Connection says (RFC 9110 7.6.1); `te` is judged by its value. */
export const HOP_BY_HOP: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'transfer-encoding',
  'upgrade',
  'http2-settings',
]);

/** Fields that a peer must not be able to delete by naming them in Connection (CVE-2022-31813): framing, routing, identity. */
const NOT_NOMINABLE: ReadonlySet<string> = new Set([
  'host',
  'content-length',
  'transfer-encoding',
  'te',
  'x-forwarded-client-cert',
  'x-forwarded-for',
  'x-forwarded-host',
  'x-forwarded-proto',
]);

/** The fields that a Connection value asks to be removed; null when it names only options of the connection itself. */
export function nominatedFields(connectionValue: string): string[] | null {
  if (connectionValue === '') return null;
  const nominated = listMembers(connectionValue).filter(
    (name) => name !== 'close' && name !== 'keep-alive' && !HOP_BY_HOP.has(name) && !NOT_NOMINABLE.has(name),
  );
  return nominated.length === 0 ? null : nominated;
}

/** What is left of a TE value behind one hop: `trailers`, or nothing. */
export function keepsTrailers(te: string): boolean {
  return te === 'trailers' || listMembers(te).includes('trailers');
}

/**
 * Removes what belongs to this hop: the fields of HOP_BY_HOP, `te` unless it says `trailers`, and what `connectionValue` (the
 * combined value of Connection, '' when absent) nominates. Nomination of framing, routing and identity fields is ignored.
 */
export function removeHopByHop(headers: HeaderList, connectionValue: string): void {
  for (const name of HOP_BY_HOP) headers.remove(name);
  const te = headers.getAll('te');
  if (te.length > 0) {
    headers.remove('te');
    if (keepsTrailers(te.join(','))) headers.add('te', 'trailers');
  }
  for (const name of nominatedFields(connectionValue) ?? []) headers.remove(name);
}

/** Fields that may not come in a trailer section (RFC 9110 6.5.1): framing, routing, authentication, identity, content handling. */
const FORBIDDEN_TRAILERS: ReadonlySet<string> = new Set([
  ...HOP_BY_HOP,
  ...NOT_NOMINABLE,
  'authorization',
  'cache-control',
  'content-encoding',
  'content-range',
  'content-type',
  'cookie',
  'expect',
  'forwarded',
  'max-forwards',
  'proxy-authenticate',
  'proxy-authorization',
  'range',
  'set-cookie',
  'trailer',
  'www-authenticate',
]);

export function isForbiddenTrailer(name: string): boolean {
  return FORBIDDEN_TRAILERS.has(name);
}
