/**
 * The request body on its way: held while there is no stream, relayed when there is one, kept for another try within a bound.
 * Knows no route and no retry rule; pauses the client when the endpoint does not keep up, and only this decides it.
 */
import type { DownstreamStream, UpstreamStream } from '../exchange/stream.ts';
import type { HeaderList } from '../http/headers.ts';

export class RequestBody {
  readonly #downstream: DownstreamStream;
  readonly #limitBytes: number;
  #kept: Buffer | null = null;
  #keptBytes = 0;
  #keeping = true;
  #trailers: HeaderList | null = null;
  hasEnded: boolean;
  /** Everything that came is here, or nothing came: another try can send the same bytes. */
  isReplayable = true;

  /** @param limitBytes how much is kept for another try, and held while there is no stream */
  constructor(downstream: DownstreamStream, limitBytes: number, isEmpty: boolean) {
    this.#downstream = downstream;
    this.#limitBytes = limitBytes;
    this.hasEnded = isEmpty;
  }

  /** A piece came; `stream` is null while there is none to send it to. The bytes are valid only during the call. */
  take(chunk: Buffer, start: number, end: number, stream: UpstreamStream | null): void {
    const sizeBytes = end - start;
    if (stream !== null) {
      if (this.#keeping && this.#keptBytes + sizeBytes <= this.#limitBytes) this.#keep(chunk, start, end);
      else this.release();
      if (!stream.writeData(chunk, start, end)) this.#downstream.pauseRequest();
      return;
    }
    // Nothing may be lost here: the client is told to stop, and what was under way already goes over the bound by one read at most.
    this.#keep(chunk, start, end);
    if (this.#keptBytes >= this.#limitBytes) this.#downstream.pauseRequest();
  }

  end(trailers: HeaderList | null): void {
    this.hasEnded = true;
    this.#trailers = trailers;
  }

  get trailers(): HeaderList | null {
    return this.#trailers;
  }

  /** What came before somebody else wanted to have it too. */
  copyTo(taker: { take(chunk: Buffer, start: number, end: number): void }): void {
    if (this.#kept !== null) taker.take(this.#kept, 0, this.#keptBytes);
  }

  /** Sends what is here, and the end if it came. @param mayRetry whether the bytes may be needed once more */
  sendTo(stream: UpstreamStream, mayRetry: boolean): void {
    let writable = true;
    if (this.#kept !== null) writable = stream.writeData(this.#kept, 0, this.#keptBytes);
    if (!mayRetry || this.#keptBytes > this.#limitBytes) this.release();
    if (this.hasEnded) stream.end(this.#trailers);
    else if (writable) this.#downstream.resumeRequest();
  }

  sendEnd(stream: UpstreamStream): void {
    stream.end(this.#trailers);
  }

  onUpstreamDrain(): void {
    if (!this.hasEnded) this.#downstream.resumeRequest();
  }

  /** No other try will be made: forgets what is kept. */
  release(): void {
    this.#keeping = false;
    this.#kept = null;
    this.#keptBytes = 0;
    this.isReplayable = false;
  }

  /** One buffer that grows: a body in pieces of one byte must not cost a hundred times its size (H30). */
  #keep(chunk: Buffer, start: number, end: number): void {
    const needed = this.#keptBytes + end - start;
    const before = this.#kept;
    if (before === null || needed > before.length) {
      const larger = Buffer.allocUnsafe(before === null ? needed : needed * 2);
      before?.copy(larger, 0, 0, this.#keptBytes);
      this.#kept = larger;
    }
    this.#kept?.set(chunk.subarray(start, end), this.#keptBytes);
    this.#keptBytes = needed;
  }
}
