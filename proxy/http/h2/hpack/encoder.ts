/**
 * Fields to header blocks (RFC 7541 6) for a proxy: what comes twice goes into the table, what is unique or secret stays out of it.
 * A peer's requests differ in path, ids and little else, so nearly every field becomes one byte. Knows no frame.
 */
import { DynamicTable, entryBytes, INITIAL_TABLE_BYTES } from './dynamic-table.ts';
import { LearnedName } from './learned-name.ts';
import { STATIC_ENTRIES } from './static-table.ts';
import { BYTES, integerText, plainText, shortestText } from './wire-text.ts';

/** We use no more than the initial size, whatever the peer allows: it holds all that repeats on a connection between sidecars. */
const MAX_TABLE_BYTES = INITIAL_TABLE_BYTES;

/** A full table takes in something new at most once in so many blocks, lest more than it can hold only pass through it. */
const BLOCKS_PER_EVICTION = 8;

/** Bounds of what is remembered besides the table; names in the table do not count. */
const MAX_NAMES = 128;
const MAX_LEARNED_BYTES = 512;

/** High bits of each representation; index prefixes have 7, 6 and 4 bits. */
const INDEXED = 0x80;
const LITERAL_INDEXED = 0x40;
const TABLE_SIZE = 0x20;
const LITERAL_NEVER = 0x10;
const LITERAL = 0x00;

export class HpackEncoder {
  readonly #table = new DynamicTable(MAX_TABLE_BYTES);
  #names = new Map<string, LearnedName>();
  #blocks = 0;
  #lastEviction = 0;
  /** The smallest table size since the last block; null when the peer need not be told one (RFC 7541 4.2). */
  #smallestBytes: number | null = null;
  #wantedBytes = MAX_TABLE_BYTES;

  /** The peer's SETTINGS_HEADER_TABLE_SIZE; in force from the next block, which says so. */
  setMaxTableBytes(bytes: number): void {
    const wanted = Math.min(bytes, MAX_TABLE_BYTES);
    if (wanted === this.#wantedBytes) return;
    this.#smallestBytes = Math.min(this.#smallestBytes ?? wanted, wanted);
    this.#wantedBytes = wanted;
  }

  /**
   * The header block of `fields` (name, value, name, value ...; lower-case names, latin1 values) as latin1 text, one character a byte.
   * Blocks must be sent in the order in which they were made, and none left out.
   */
  encode(fields: readonly string[]): string {
    let block = this.#smallestBytes === null ? '' : this.#resize(this.#smallestBytes);
    this.#blocks++;
    for (let i = 0; i < fields.length; i += 2) {
      const name = fields[i]!;
      const value = fields[i + 1]!;
      const learned = this.#names.get(name);
      block += learned === undefined ? this.#unknownName(name, value) : this.#field(learned, name, value);
    }
    return block;
  }

  #resize(smallestBytes: number): string {
    this.#smallestBytes = null;
    this.#table.setMaxBytes(smallestBytes);
    this.#table.setMaxBytes(this.#wantedBytes);
    const wanted = integerText(TABLE_SIZE, 5, this.#wantedBytes);
    return smallestBytes < this.#wantedBytes ? integerText(TABLE_SIZE, 5, smallestBytes) + wanted : wanted;
  }

  #field(learned: LearnedName, name: string, value: string): string {
    const statics = learned.staticValues;
    for (let i = 0; i < statics.length; i++)
      if (statics[i] === value) return BYTES[INDEXED | (learned.staticIndex + i)]!;
    if (learned.treatment !== 'index') return this.#literal(learned, name, value);
    const place = learned.placeOf(value);
    if (place < 0) return this.#newValue(learned, name, value);
    const number = learned.numbers[place]!;
    if (this.#isLive(number)) return integerText(INDEXED, 7, this.#indexOf(number));
    if (!this.#takesIn(name, value)) return this.#literal(learned, name, value);
    return this.#insert(learned, name, value);
  }

  #newValue(learned: LearnedName, name: string, value: string): string {
    if (value.length <= MAX_LEARNED_BYTES && learned.isWorthLearning) learned.remember(ownCopy(value));
    return this.#literal(learned, name, value);
  }

  /** A literal that leaves the table as it is, unless only an entry can give the name an index. */
  #literal(learned: LearnedName, name: string, value: string): string {
    const flags = learned.treatment === 'never' ? LITERAL_NEVER : LITERAL;
    if (learned.staticIndex > 0) return integerText(flags, 4, learned.staticIndex) + plainText(value);
    if (this.#isLive(learned.number)) return integerText(flags, 4, this.#indexOf(learned.number)) + plainText(value);
    if (flags === LITERAL && this.#takesIn(name, value)) return this.#insert(learned, name, value);
    return BYTES[flags]! + plainText(name) + plainText(value);
  }

  #insert(learned: LearnedName, name: string, value: string): string {
    const text = this.#nameText(learned, name) + shortestText(value);
    this.#table.insert(name, ownCopy(value));
    learned.setNumber(value, this.#table.inserted);
    return text;
  }

  #nameText(learned: LearnedName, name: string): string {
    if (learned.staticIndex > 0) return integerText(LITERAL_INDEXED, 6, learned.staticIndex);
    if (this.#isLive(learned.number)) return integerText(LITERAL_INDEXED, 6, this.#indexOf(learned.number));
    return BYTES[LITERAL_INDEXED]! + shortestText(name);
  }

  #unknownName(name: string, value: string): string {
    if (name.length > MAX_LEARNED_BYTES) return BYTES[LITERAL]! + plainText(name) + plainText(value);
    if (this.#names.size >= MAX_NAMES) this.#forgetNames();
    const learned = new LearnedName(name);
    this.#names.set(ownCopy(name), learned);
    if (learned.staticIndex > 0) return this.#field(learned, name, value);
    if (learned.treatment === 'index') learned.remember(ownCopy(value));
    return BYTES[LITERAL]! + plainText(name) + plainText(value);
  }

  /** Starts again with the names that are in the table. */
  #forgetNames(): void {
    this.#names = new Map([...this.#names].filter(([, learned]) => this.#isLive(learned.number)));
  }

  #isLive(number: number): boolean {
    return number > this.#table.inserted - this.#table.count;
  }

  #indexOf(number: number): number {
    return STATIC_ENTRIES + 1 + this.#table.inserted - number;
  }

  /** Whether the field may go into the table now; a true answer counts as done. */
  #takesIn(name: string, value: string): boolean {
    const table = this.#table;
    const size = entryBytes(name, value);
    if (size > table.maxBytes / 4) return false;
    if (table.bytes + size <= table.maxBytes) return true;
    if (this.#blocks - this.#lastEviction < BLOCKS_PER_EVICTION) return false;
    this.#lastEviction = this.#blocks;
    return true;
  }
}

/** Shorter texts are never slices of others in V8. */
const MIN_SLICE = 13;

/** A text that holds on to nothing but itself: one that was cut from a head of 64 KiB would keep all of it. */
function ownCopy(text: string): string {
  return text.length < MIN_SLICE ? text : Buffer.from(text, 'latin1').latin1Slice();
}
