/**
 * The dynamic table (RFC 7541 2.3.2, 4): newest entry first, the oldest dropped when the bytes do not suffice.
 * Both directions use it: the same insertions in the same order make the same table. Knows no representation on the wire.
 */

/** What an entry costs beside its text (RFC 7541 4.1). */
export const ENTRY_OVERHEAD_BYTES = 32;

/** SETTINGS_HEADER_TABLE_SIZE before any setting is exchanged (RFC 9113 6.5.2). */
export const INITIAL_TABLE_BYTES = 4096;

/** Bytes of an entry; also how a field counts against SETTINGS_MAX_HEADER_LIST_SIZE. Text is latin1: a character is a byte. */
export function entryBytes(name: string, value: string): number {
  return name.length + value.length + ENTRY_OVERHEAD_BYTES;
}

const INITIAL_SLOTS = 16;

/** A ring that grows with its entries; `maxBytes / 32` bounds their number. */
export class DynamicTable {
  /** Entries inserted so far: the number of the newest entry, from 1. An entry lives while its number is above `inserted - count`. */
  inserted = 0;
  count = 0;
  bytes = 0;

  #maxBytes: number;
  #names: string[] = emptySlots(INITIAL_SLOTS);
  #values: string[] = emptySlots(INITIAL_SLOTS);
  #mask = INITIAL_SLOTS - 1;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  get maxBytes(): number {
    return this.#maxBytes;
  }

  /** The name of the entry that is `age` insertions old: 0 is the newest; `age` is below `count`. */
  nameAt(age: number): string {
    return this.#names[(this.inserted - 1 - age) & this.#mask]!;
  }

  valueAt(age: number): string {
    return this.#values[(this.inserted - 1 - age) & this.#mask]!;
  }

  /** Drops what has no room beside the entry. One that is larger than the table leaves it empty, which is no error (RFC 7541 4.4). */
  insert(name: string, value: string): void {
    const size = entryBytes(name, value);
    this.#evictTo(this.#maxBytes - size);
    if (size > this.#maxBytes) return;
    if (this.count > this.#mask) this.#grow();
    const slot = this.inserted & this.#mask;
    this.#names[slot] = name;
    this.#values[slot] = value;
    this.inserted++;
    this.count++;
    this.bytes += size;
  }

  setMaxBytes(maxBytes: number): void {
    this.#maxBytes = maxBytes;
    this.#evictTo(maxBytes);
  }

  #evictTo(bytes: number): void {
    while (this.count > 0 && this.bytes > bytes) {
      const slot = (this.inserted - this.count) & this.#mask;
      this.bytes -= entryBytes(this.#names[slot]!, this.#values[slot]!);
      this.#names[slot] = '';
      this.#values[slot] = '';
      this.count--;
    }
  }

  #grow(): void {
    const slots = 2 * (this.#mask + 1);
    const names = emptySlots(slots);
    const values = emptySlots(slots);
    for (let number = this.inserted - this.count; number < this.inserted; number++) {
      names[number & (slots - 1)] = this.#names[number & this.#mask]!;
      values[number & (slots - 1)] = this.#values[number & this.#mask]!;
    }
    this.#names = names;
    this.#values = values;
    this.#mask = slots - 1;
  }
}

function emptySlots(slots: number): string[] {
  return Array.from({ length: slots }, () => '');
}
