/**
 * Who has something to be told: each client at most once, in turn, and never twice at the same time.
 * What changes while a client is served is merged into its next turn. Knows nothing of what is told.
 */

/** Serves one item; `done` is called once, when its response has left. `more`: there may be another one. */
export type Serve<T> = (item: T, done: (more: boolean) => void) => void;

export interface PushQueueOptions<T> {
  readonly serve: Serve<T>;
  /** Runs a function in a later turn of the event loop. */
  readonly defer: (run: () => void) => void;
  /** How many items are served before the event loop gets its turn. */
  readonly perTurn: number;
}

/** `again`: marked while it was served. */
type State = 'queued' | 'serving' | 'again';

export class PushQueue<T> {
  readonly #options: PushQueueOptions<T>;
  readonly #states = new Map<T, State>();
  #ready: T[] = [];
  #isScheduled = false;

  constructor(options: PushQueueOptions<T>) {
    this.#options = options;
  }

  /** How many items wait or are being served. */
  get size(): number {
    return this.#states.size;
  }

  /** There may be something to tell `item`. */
  mark(item: T): void {
    const state = this.#states.get(item);
    if (state === 'serving') this.#states.set(item, 'again');
    if (state === undefined) this.#enqueue(item);
  }

  /** Forgets `item`; a `done` that is still to come has no effect. */
  remove(item: T): void {
    this.#states.delete(item);
  }

  #enqueue(item: T): void {
    this.#states.set(item, 'queued');
    this.#ready.push(item);
    this.#schedule();
  }

  #schedule(): void {
    if (this.#isScheduled || this.#ready.length === 0) return;
    this.#isScheduled = true;
    this.#options.defer(() => {
      this.#isScheduled = false;
      this.#turn();
    });
  }

  #turn(): void {
    const turn = this.#ready.slice(0, this.#options.perTurn);
    this.#ready = this.#ready.slice(turn.length);
    for (const item of turn) {
      if (this.#states.get(item) !== 'queued') continue;
      this.#states.set(item, 'serving');
      this.#options.serve(item, (more) => this.#finish(item, more));
    }
    this.#schedule();
  }

  #finish(item: T, more: boolean): void {
    const state = this.#states.get(item);
    if (state !== 'serving' && state !== 'again') return;
    this.#states.delete(item);
    if (more || state === 'again') this.#enqueue(item);
  }
}
