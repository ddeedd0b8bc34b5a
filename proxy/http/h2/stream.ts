/**
 * One stream as its connection sees it: state, windows, what waits to be sent, and what the two roles make of frames.
 * One object a stream; no timer, no closure. What may happen when is decided by the connection.
 */
import { Flow } from './flow-control.ts';
import type { SendQueue } from './send-queue.ts';
import { STATE, type StreamState } from './stream-state.ts';

/** Who ended a stream before its time: the peer on purpose, the peer by breaking the rules on it, or the end of the connection. */
export type AbortedBy = 'peer' | 'rules' | 'connection';

export abstract class H2Stream extends Flow {
  /** 0 until the first HEADERS. */
  id = 0;
  state: StreamState = STATE.idle;
  /** The consumer does not keep up: what still comes within the window is handed on, but not paid back. */
  paused = false;
  /** Handed on while paused. */
  withheldBytes = 0;
  /** Content that content-length promises; -1: it does not say. */
  expectedBytes = -1;
  receivedBytes = 0;
  /** Waits to be sent. */
  queue: SendQueue | null = null;
  /** What follows the queue: nothing yet, END_STREAM, or trailers. */
  queuedEnd = false;
  queuedTrailers: readonly string[] | null = null;
  /** Stands in the sender's line: for its turn, or to be told that it may write again. */
  inLine = false;
  /** Since when its queue has not moved, on the connection's clock. */
  stuckSinceMs = 0;

  /** A header section of an open stream. @param tooLarge why the fields are not there; null: they are */
  abstract onFields(fields: readonly string[], endStream: boolean, tooLarge: string | null): void;
  /** Content, valid during the call. */
  abstract onContent(chunk: Buffer, start: number, end: number): void;
  /** The peer ended its side with a DATA frame. */
  abstract onContentEnd(): void;
  /** What was written has left; more may be written. */
  abstract onWritable(): void;
  /** END_STREAM of ours has left, and the peer's is still to come. */
  abstract onEndSent(): void;
  /** The stream is over before its time; no frame goes out for it any more. */
  abstract onAborted(code: number, detail: string, by: AbortedBy): void;
}
