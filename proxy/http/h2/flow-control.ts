/**
 * The four windows of RFC 9113 5.2: ours and the peer's, of a stream and of its connection. Numbers only.
 * What is received is paid back when the consumer has taken it, never before: this is the whole back-pressure of HTTP/2.
 */

export const MAX_WINDOW_BYTES = 0x7fff_ffff;
/** What both sides begin with (RFC 9113 6.9.2). */
export const DEFAULT_WINDOW_BYTES = 65_535;

/** Base of a stream, so that a stream is one object; a connection has one of its own. */
export class Flow {
  /** What the peer lets us send; below 0 after a smaller SETTINGS_INITIAL_WINDOW_SIZE. */
  sendWindow: number;
  /** What the peer may still send. */
  receiveWindow: number;
  readonly windowBytes: number;
  /** Taken by the consumer and not yet told to the peer. */
  #owedBytes = 0;

  /** @param windowBytes what we let the peer have under way */
  constructor(sendWindow: number, windowBytes: number) {
    this.sendWindow = sendWindow;
    this.receiveWindow = windowBytes;
    this.windowBytes = windowBytes;
  }

  /** The peer allows more, or less. False: the sum is more than a window may be (RFC 9113 6.9.1). */
  allow(bytes: number): boolean {
    this.sendWindow += bytes;
    return this.sendWindow <= MAX_WINDOW_BYTES;
  }

  /** A frame came. False: the peer sent more than it may. */
  arrive(bytes: number): boolean {
    this.receiveWindow -= bytes;
    return this.receiveWindow >= 0;
  }

  /** The consumer took so much. Returns the increment to tell the peer now; 0: not worth a frame yet. */
  take(bytes: number): number {
    this.#owedBytes += bytes;
    if (this.#owedBytes * 2 < this.windowBytes) return 0;
    const increment = this.#owedBytes;
    this.#owedBytes = 0;
    this.receiveWindow += increment;
    return increment;
  }
}
