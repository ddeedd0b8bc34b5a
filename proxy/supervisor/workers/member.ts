/**
 * One worker thread, as the fleet sees it: messages to it and from it, and its end. Knows no other thread.
 */
import type { Worker as Thread } from 'node:worker_threads';
import type { Clock } from '#base/clock.ts';
import type { SharedSeries } from '../../telemetry/joined.ts';
import type { WorkerState } from '../../worker/describe.ts';
import type { FromWorker, ToWorker } from '../../worker/messages.ts';
import type { ExchangeFacts } from '../../worker/recent.ts';
import { THREAD_COMMAND, type FromThread, type ThreadData, type ToThread } from '../../worker/thread.ts';

export interface MemberEvents {
  onMessage(message: FromWorker): void;
  onSeries(series: SharedSeries): void;
  /** Once, whatever ended it. @param reason for people; null: it was told to close */
  onEnd(reason: string | null): void;
}

/** A thread that does not answer for so long is busy; what it has to say is left out. */
const ANSWER_MS = 500;
const CLOSE_MS = 2000;

export class Member {
  readonly #thread: Thread;
  readonly #clock: Clock;
  readonly #opened = Promise.withResolvers<readonly string[]>();
  readonly #ended = Promise.withResolvers<void>();
  readonly #asked = new Map<number, (answer: FromThread | null) => void>();
  #lastId = 0;
  #closing = false;

  /** @param script what the thread runs; it calls `runThread` */
  constructor(script: string, data: ThreadData, clock: Clock, events: MemberEvents) {
    this.#clock = clock;
    const { Worker: Thread } = process.getBuiltinModule('node:worker_threads');
    this.#thread = new Thread(script, { workerData: data, stdin: false, argv: [THREAD_COMMAND] });
    let reason: string | null = null;
    this.#thread.on('message', (message: FromThread) => this.#receive(message, events));
    this.#thread.on('error', (error: unknown) => {
      reason = error instanceof Error ? (error.stack ?? error.message) : String(error);
    });
    this.#thread.on('exit', (code) => {
      for (const answer of this.#asked.values()) answer(null);
      this.#opened.resolve(['the worker ended']);
      this.#ended.resolve();
      events.onEnd(this.#closing ? null : (reason ?? `exit ${code}`));
    });
  }

  post(message: ToWorker): void {
    this.#send({ kind: 'worker', message });
  }

  /** Opens its listeners; the problems met. */
  open(): Promise<readonly string[]> {
    this.#send({ kind: 'open' });
    return this.#opened.promise;
  }

  /** Null: it is too busy to say. */
  async describe(): Promise<WorkerState | null> {
    const answer = await this.#ask((id) => ({ kind: 'describe', id }));
    return answer?.kind === 'described' ? answer.state : null;
  }

  /** Null: it is too busy to say. */
  async recall(request: string): Promise<readonly ExchangeFacts[] | null> {
    const answer = await this.#ask((id) => ({ kind: 'recall', id, request }));
    return answer?.kind === 'recalled' ? answer.exchanges : null;
  }

  /** Resolves when it is gone; one that does not end by itself is ended. */
  async close(): Promise<void> {
    this.#closing = true;
    this.#send({ kind: 'close' });
    const timer = this.#clock.after(CLOSE_MS, () => void this.#thread.terminate());
    await this.#ended.promise;
    timer.cancel();
  }

  /** Ends it at once, as if it had broken. */
  kill(): void {
    void this.#thread.terminate();
  }

  #ask(question: (id: number) => ToThread): Promise<FromThread | null> {
    const id = ++this.#lastId;
    return new Promise((resolve) => {
      const answer = (message: FromThread | null): void => {
        timer.cancel();
        this.#asked.delete(id);
        resolve(message);
      };
      const timer = this.#clock.after(ANSWER_MS, () => answer(null));
      this.#asked.set(id, answer);
      this.#send(question(id));
    });
  }

  #send(message: ToThread): void {
    this.#thread.postMessage(message);
  }

  #receive(message: FromThread, events: MemberEvents): void {
    switch (message.kind) {
      case 'worker':
        events.onMessage(message.message);
        break;
      case 'series':
        events.onSeries(message.series);
        break;
      case 'opened':
        this.#opened.resolve(message.problems);
        break;
      case 'described':
      case 'recalled':
        this.#asked.get(message.id)?.(message);
        break;
    }
  }
}
