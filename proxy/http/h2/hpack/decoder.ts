/**
 * Header blocks to fields (RFC 7541 3, 6). Texts that are in a table are handed out again, not made again, so a usual request costs a few lookups.
 * Knows no frame, and does not judge fields: pseudo-headers, case and empty names are HTTP/2's business.
 */
import { BlockReader } from './block-reader.ts';
import { DynamicTable, entryBytes, INITIAL_TABLE_BYTES } from './dynamic-table.ts';
import { STATIC_ENTRIES, STATIC_NAMES, STATIC_VALUES } from './static-table.ts';

export interface HpackFailure {
  /** `compression` ends the connection (RFC 9113 4.3); `list-too-large` only the stream, as the table is still that of the peer. */
  readonly kind: 'compression' | 'list-too-large';
  readonly detail: string;
}

/** Bounds of one decoded list, cookie crumbs included: bytes are name + value + 32 a field (RFC 9113 6.5.2). */
export interface HpackLimits {
  readonly maxListBytes: number;
  readonly maxFields: number;
}

/** Longer names are rare, and not worth a place among the engine's own strings. */
const MAX_SHARED_NAME = 64;

/** Between blocks. */
const NOWHERE: string[] = [];

export class HpackDecoder {
  readonly #maxTableBytes: number;
  readonly #limits: HpackLimits;
  readonly #table: DynamicTable;
  readonly #reader = new BlockReader();
  /** Of the block at hand. */
  #into: string[] = NOWHERE;
  #listBytes = 0;
  #fields = 0;
  #refusal: HpackFailure | null = null;

  /**
   * `maxTableBytes` is the SETTINGS_HEADER_TABLE_SIZE that we announce. The table begins at 4096 bytes or less, as the peer's does:
   * announce less only to a peer that knows it before its first block.
   */
  constructor(maxTableBytes: number, limits: HpackLimits) {
    this.#maxTableBytes = maxTableBytes;
    this.#limits = limits;
    this.#table = new DynamicTable(Math.min(maxTableBytes, INITIAL_TABLE_BYTES));
  }

  /**
   * Appends name, value, name, value ... of the complete header block in `block[start, end)` to `into`: latin1, in order.
   * After `list-too-large` the fields that fitted are in `into`, the rest was read for the table's sake only; after `compression` the decoder is of
   * no more use. Work is linear in the bytes of the block, whatever it refers to.
   */
  decode(block: Buffer, start: number, end: number, into: string[]): HpackFailure | null {
    const reader = this.#reader;
    reader.open(block, start, end);
    this.#into = into;
    this.#listBytes = 0;
    this.#fields = 0;
    this.#refusal = null;
    let isSound = this.#resize();
    while (isSound && reader.at < end) {
      const byte = block[reader.at]!;
      if (byte >= 0x80) isSound = this.#indexed();
      else if (byte >= 0x40) isSound = this.#literal(6, true);
      else if (byte < 0x20) isSound = this.#literal(4, false);
      else isSound = this.#fail('a table size behind a field');
    }
    reader.close();
    this.#into = NOWHERE;
    return isSound ? this.#refusal : { kind: 'compression', detail: reader.failure };
  }

  /** Table sizes stand only at the start of a block; of several, each takes effect (RFC 7541 4.2). */
  #resize(): boolean {
    const reader = this.#reader;
    while (reader.at < reader.end && (reader.bytes[reader.at]! & 0xe0) === 0x20) {
      const size = reader.integer(5);
      if (size < 0) return false;
      if (size > this.#maxTableBytes) return this.#fail('a table size above the limit');
      this.#table.setMaxBytes(size);
    }
    return true;
  }

  #indexed(): boolean {
    const index = this.#reader.integer(7);
    if (index <= STATIC_ENTRIES) {
      if (index > 0) return this.#append(STATIC_NAMES[index]!, STATIC_VALUES[index]!);
      return index < 0 ? false : this.#fail('index 0');
    }
    const age = index - STATIC_ENTRIES - 1;
    if (age >= this.#table.count) return this.#fail('an index behind the table');
    return this.#append(this.#table.nameAt(age), this.#table.valueAt(age));
  }

  /** A value that is neither kept nor wanted any more is passed over. */
  #literal(prefixBits: number, isKept: boolean): boolean {
    const name = this.#literalName(prefixBits);
    if (name === null) return false;
    if (!isKept && this.#refusal !== null) return this.#reader.skipText();
    const value = this.#reader.text();
    if (value === null) return false;
    if (!isKept) return this.#append(name, value);
    const shared = sharedName(name);
    this.#table.insert(shared, value);
    return this.#append(shared, value);
  }

  #literalName(prefixBits: number): string | null {
    const index = this.#reader.integer(prefixBits);
    if (index < 0) return null;
    if (index === 0) return this.#reader.text();
    if (index <= STATIC_ENTRIES) return STATIC_NAMES[index]!;
    const age = index - STATIC_ENTRIES - 1;
    if (age < this.#table.count) return this.#table.nameAt(age);
    this.#fail('an index behind the table');
    return null;
  }

  #append(name: string, value: string): true {
    if (this.#refusal !== null) return true;
    this.#listBytes += entryBytes(name, value);
    this.#fields++;
    if (this.#listBytes > this.#limits.maxListBytes)
      this.#refuse(`more than ${this.#limits.maxListBytes} bytes of fields`);
    else if (this.#fields > this.#limits.maxFields) this.#refuse(`more than ${this.#limits.maxFields} fields`);
    else this.#into.push(name, value);
    return true;
  }

  #refuse(detail: string): void {
    this.#refusal = { kind: 'list-too-large', detail };
  }

  #fail(why: string): false {
    this.#reader.failure = why;
    return false;
  }
}

/** The same text as the engine keeps it for property names, which are compared by pointer: it will be handed out with every request. */
function sharedName(name: string): string {
  return name.length <= MAX_SHARED_NAME ? Object.keys({ [name]: 0 })[0]! : name;
}
