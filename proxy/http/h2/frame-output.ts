/**
 * Where a connection's bytes go, as the codec sees it: what gathers them and knows the socket stands in `proxy/net`.
 */
export interface FrameOutput {
  /** False: the peer does not keep up. */
  readonly writable: boolean;
  /** Latin-1. */
  text(text: string): void;
  /** The bytes are copied. */
  bytes(chunk: Buffer, start: number, end: number): void;
  /** What was gathered leaves when the turn is over. */
  flushSoon(): void;
}
