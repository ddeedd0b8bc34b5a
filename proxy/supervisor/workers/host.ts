/**
 * The data plane as the supervisor and the main program see it: one worker in this thread, or several in threads of their own.
 * Types only.
 */
import type { WorkerState } from '../../worker/describe.ts';
import type { ToWorker } from '../../worker/messages.ts';
import type { ExchangeFacts } from '../../worker/recent.ts';

export interface WorkerHost {
  /** Opens the listeners; the problems met, as sentences. */
  open(): Promise<readonly string[]>;
  post(message: ToWorker): void;
  describe(): Promise<WorkerState>;
  /** What happened to the requests of this request or trace id; empty: to all that are notable. */
  recall(id: string): Promise<readonly ExchangeFacts[]>;
  /** Ends everything at once. */
  close(): Promise<void>;
}
