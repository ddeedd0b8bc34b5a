/**
 * Messages of a gRPC call in the bytes of its streams: a flag, a length, the message (grpc/grpc doc/PROTOCOL-HTTP2.md, Length-Prefixed-Message).
 * Knows no protobuf and no stream.
 */

const PREFIX_BYTES = 5;

/** Not compressed. */
export function frameMessage(message: Uint8Array): Buffer {
  const framed = Buffer.allocUnsafe(PREFIX_BYTES + message.length);
  framed[0] = 0;
  framed.writeUInt32BE(message.length, 1);
  framed.set(message, PREFIX_BYTES);
  return framed;
}

/** Puts messages together again, wherever they were cut. */
export class MessageReader {
  readonly #maxBytes: number;
  readonly #onMessage: (message: Buffer) => void;
  readonly #prefix = Buffer.allocUnsafe(PREFIX_BYTES);
  #prefixBytes = 0;
  #message: Buffer | null = null;
  #messageBytes = 0;

  /** @param onMessage gets each message, which is its own from then on; what it throws comes out of `read` */
  constructor(maxBytes: number, onMessage: (message: Buffer) => void) {
    this.#maxBytes = maxBytes;
    this.#onMessage = onMessage;
  }

  /** Within no message. */
  get isBetween(): boolean {
    return this.#prefixBytes === 0;
  }

  /** What is wrong with the bytes, after which nothing may be read any more; empty: nothing. */
  read(chunk: Buffer, start: number, end: number): string {
    let at = start;
    while (at < end) {
      if (this.#message === null) {
        this.#prefix[this.#prefixBytes++] = chunk[at++]!;
        if (this.#prefixBytes < PREFIX_BYTES) continue;
        const wrong = this.#begin();
        if (wrong !== '') return wrong;
      } else {
        const taken = Math.min(end - at, this.#message.length - this.#messageBytes);
        chunk.copy(this.#message, this.#messageBytes, at, at + taken);
        this.#messageBytes += taken;
        at += taken;
      }
      this.#handOver();
    }
    return '';
  }

  #begin(): string {
    if (this.#prefix[0] !== 0) return 'a compressed message, which nobody asked for';
    const length = this.#prefix.readUInt32BE(1);
    if (length > this.#maxBytes) return `a message of ${length} bytes, where ${this.#maxBytes} are the most`;
    this.#message = Buffer.allocUnsafe(length);
    this.#messageBytes = 0;
    return '';
  }

  #handOver(): void {
    const message = this.#message;
    if (message === null || this.#messageBytes < message.length) return;
    this.#message = null;
    this.#prefixBytes = 0;
    this.#onMessage(message);
  }
}
