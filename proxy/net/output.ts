/**
 * What goes out on a connection: head, framing and small pieces of body are gathered and leave in one write, large pieces go by reference.
 * Knows no HTTP.
 */
import type { Socket } from 'node:net';

/** Up to this many bytes are copied into the gathered text; measured on loopback, a second write costs more than copying 4 KiB. */
const SMALL_BYTES = 4096;
/** Gathered text over this leaves at once. */
const FLUSH_BYTES = 16_384;

export class Output {
  readonly #socket: Socket;
  #text = '';
  #scheduled = false;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  /** False: the peer does not keep up; the socket will emit `drain`. */
  get writable(): boolean {
    return !this.#socket.writableNeedDrain;
  }

  /** Bytes taken and not yet handed to the kernel. */
  get queuedBytes(): number {
    return this.#text.length + this.#socket.writableLength;
  }

  /** Latin-1 text; leaves at the next flush. */
  text(text: string): void {
    this.#text += text;
  }

  bytes(chunk: Buffer, start: number, end: number): void {
    if (end - start <= SMALL_BYTES) {
      this.#text += chunk.latin1Slice(start, end);
      if (this.#text.length > FLUSH_BYTES) this.flush();
      return;
    }
    this.#socket.cork();
    this.flush();
    this.#socket.write(start === 0 && end === chunk.length ? chunk : chunk.subarray(start, end));
    this.#socket.uncork();
  }

  /** Sends what is gathered now. */
  flush(): void {
    if (this.#text === '') return;
    const text = this.#text;
    this.#text = '';
    this.#socket.write(text, 'latin1');
  }

  /** Sends what is gathered when the present event is over: more may join it until then. */
  flushSoon(): void {
    if (this.#scheduled || this.#text === '') return;
    this.#scheduled = true;
    process.nextTick(flushScheduled, this);
  }

  /** For `flushSoon` only. */
  flushNow(): void {
    this.#scheduled = false;
    this.flush();
  }
}

function flushScheduled(output: Output): void {
  output.flushNow();
}
