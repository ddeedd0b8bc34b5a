/**
 * The end of a round of the event loop: when all reads that were ready have been handled, what they left to write is written. Knows nothing of
 * what that is.
 */

export interface Flushing {
  /** Called once for each time that it was asked for. */
  flushNow(): void;
}

let due: Flushing[] = [];

function flushDue(): void {
  const all = due;
  due = [];
  for (const flushing of all) flushing.flushNow();
}

/** Whoever asks again within the round is called again: ask once. */
export function flushAfterRound(flushing: Flushing): void {
  if (due.push(flushing) === 1) setImmediate(flushDue);
}
