/**
 * Everybody who is connected, and the queue that serves them in turn.
 * Knows streams only by what they can do, so that it is the same for both protocols.
 */
import { PushQueue } from './push-queue.ts';
import type { ClientStream, ClientView } from './stream.ts';

/** Streams served before the event loop gets its turn: a few milliseconds of work. */
const STREAMS_PER_TURN = 32;

export class Clients {
  readonly #streams = new Set<ClientStream>();
  readonly #queue: PushQueue<ClientStream>;
  readonly #limit: number;

  /** `limit`: how many streams may be open at the same time. */
  constructor(limit: number, defer: (run: () => void) => void) {
    this.#limit = limit;
    this.#queue = new PushQueue({ serve: (stream, done) => stream.serve(done), defer, perTurn: STREAMS_PER_TURN });
  }

  get size(): number {
    return this.#streams.size;
  }

  /** Streams that wait for a push or whose push has not left yet. */
  get pending(): number {
    return this.#queue.size;
  }

  /** False when there is no room. */
  add(stream: ClientStream): boolean {
    if (this.#streams.size >= this.#limit) return false;
    this.#streams.add(stream);
    return true;
  }

  remove(stream: ClientStream): void {
    this.#streams.delete(stream);
    this.#queue.remove(stream);
  }

  /** Gives a stream its turn. */
  wake(stream: ClientStream): void {
    if (this.#streams.has(stream)) this.#queue.mark(stream);
  }

  /** What is served may have changed for everybody. */
  wakeAll(): void {
    for (const stream of this.#streams) stream.wake();
  }

  views(): readonly ClientView[] {
    return [...this.#streams].map((stream) => stream.view());
  }
}
