/**
 * Methods of Buffer that Node has but its types leave out: the one-encoding forms of `toString` and `write`, without the search for the encoding.
 * Ambient types only.
 */
interface Buffer {
  latin1Slice(start?: number, end?: number): string;
  hexSlice(start?: number, end?: number): string;
  latin1Write(text: string, offset?: number, length?: number): number;
}
