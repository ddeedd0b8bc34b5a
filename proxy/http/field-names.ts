/**
 * Field names as shared lower-case strings, with a small number for those that HTTP itself acts on.
 * A direct-mapped cache: a stranger evicts at most one other name, so a flood of invented names costs time, not memory.
 */
import { TOKEN_LOWER } from './grammar.ts';
import { latin1 } from './latin1.ts';

/** Fields that a codec must understand; 0 is every other field. */
export const FIELD = {
  other: 0,
  host: 1,
  contentLength: 2,
  transferEncoding: 3,
  connection: 4,
  keepAlive: 5,
  proxyConnection: 6,
  te: 7,
  upgrade: 8,
  http2Settings: 9,
  expect: 10,
} as const;

export type FieldId = (typeof FIELD)[keyof typeof FIELD];

export interface FieldName {
  readonly name: string;
  readonly id: FieldId;
}

const WELL_KNOWN: ReadonlyMap<string, FieldId> = new Map([
  ['host', FIELD.host],
  ['content-length', FIELD.contentLength],
  ['transfer-encoding', FIELD.transferEncoding],
  ['connection', FIELD.connection],
  ['keep-alive', FIELD.keepAlive],
  ['proxy-connection', FIELD.proxyConnection],
  ['te', FIELD.te],
  ['upgrade', FIELD.upgrade],
  ['http2-settings', FIELD.http2Settings],
  ['expect', FIELD.expect],
]);

const SLOTS = 1024;
/** Longer names are not worth keeping: together with SLOTS this bounds the cache to 64 KiB of text. */
const MAX_CACHED_LENGTH = 64;
const slots: FieldName[] = Array.from({ length: SLOTS }, () => ({ name: '', id: FIELD.other }));

/** Start value and step of the hash over the lower-cased bytes of a name (FNV-1a, 32 bits). */
export const HASH_SEED = 0x811c9dc5 | 0;

export function hashStep(hash: number, lowerByte: number): number {
  return Math.imul(hash ^ lowerByte, 0x01000193);
}

/** The shared entry for the name in `bytes[start, end)`, which holds only tchars and hashes to `hash`. */
export function internFieldName(bytes: Buffer, start: number, end: number, hash: number): FieldName {
  const slot = (hash ^ (hash >>> 15)) & (SLOTS - 1);
  const known = slots[slot]!;
  const name = known.name;
  const length = end - start;
  if (name.length === length) {
    const lower = TOKEN_LOWER;
    let i = 0;
    while (i < length && name.charCodeAt(i) === lower[bytes[start + i]!]) i++;
    if (i === length) return known;
  }
  const fresh = asPropertyName(latin1(bytes, start, end).toLowerCase());
  const entry: FieldName = { name: fresh, id: WELL_KNOWN.get(fresh) ?? FIELD.other };
  if (fresh.length <= MAX_CACHED_LENGTH) slots[slot] = entry;
  return entry;
}

/** The same text as the engine keeps it for property names and literals: comparing two of those is comparing pointers. */
function asPropertyName(text: string): string {
  return text.length <= MAX_CACHED_LENGTH ? Object.keys({ [text]: 0 })[0]! : text;
}
