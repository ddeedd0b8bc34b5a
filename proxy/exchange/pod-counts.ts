/**
 * What is counted for a cluster in all workers of the pod together: connections, requests that wait, requests under way, and the window
 * of the retry budget. With one worker these are plain numbers; with several they lie in shared memory, a row for each cluster and in it
 * a cell for each worker. The supervisor gives out the rows, for only it sees all workers. Knows no thread and no limit.
 */
import { LocalTally, SharedTally, type Tally } from '#base/tally.ts';

/** Of one cluster. */
export interface PodCounts {
  readonly connections: Tally;
  readonly pending: Tally;
  readonly requests: Tally;
  /** Of the budget's window, by each worker. */
  readonly budgetRequests: Tally;
  readonly budgetRetries: Tally;
}

const KINDS = ['connections', 'pending', 'requests', 'budgetRequests', 'budgetRetries'] as const;
/** Clusters that several workers count together; each of those beyond has counts of its own in each worker. */
export const MAX_SHARED_CLUSTERS = 8192;

export function localCounts(): PodCounts {
  return {
    connections: new LocalTally(),
    pending: new LocalTally(),
    requests: new LocalTally(),
    budgetRequests: new LocalTally(),
    budgetRetries: new LocalTally(),
  };
}

/** Memory for all rows of `workers` workers. */
export function allocateCounts(workers: number): SharedArrayBuffer {
  return new SharedArrayBuffer(MAX_SHARED_CLUSTERS * KINDS.length * workers * Int32Array.BYTES_PER_ELEMENT);
}

/** @param slot which worker this is */
export function sharedCounts(memory: SharedArrayBuffer, row: number, workers: number, slot: number): PodCounts {
  const cells = new Int32Array(memory);
  const tally = (kind: (typeof KINDS)[number]): Tally =>
    new SharedTally(cells, (row * KINDS.length + KINDS.indexOf(kind)) * workers, workers, slot);
  return {
    connections: tally('connections'),
    pending: tally('pending'),
    requests: tally('requests'),
    budgetRequests: tally('budgetRequests'),
    budgetRetries: tally('budgetRetries'),
  };
}

/** Everything that a worker counted is gone with it. */
export function forgetWorker(memory: SharedArrayBuffer, workers: number, slot: number): void {
  const cells = new Int32Array(memory);
  for (let cell = slot; cell < cells.length; cell += workers) Atomics.store(cells, cell, 0);
}
