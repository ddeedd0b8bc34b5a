/**
 * Bytes to text one to one, by the native call that Buffer's `toString('latin1')` reaches after its checks.
 * Never utf8: a field value leaves this proxy with the bytes it came with.
 */
interface Latin1Source {
  latin1Slice(start: number, end: number): string;
}

export function latin1(bytes: Buffer, start: number, end: number): string {
  return (bytes as unknown as Latin1Source).latin1Slice(start, end);
}
