/**
 * Which row of the shared counts belongs to which cluster, as the supervisor says it. Knows no thread.
 */
import { localCounts, sharedCounts, type PodCounts } from '../exchange/pod-counts.ts';

/** Memory that all workers of the pod count in, and which of them this is. */
export interface SharedMemory {
  readonly counts: SharedArrayBuffer;
  readonly givenUp: SharedArrayBuffer;
  readonly rates: SharedArrayBuffer;
  readonly workers: number;
  readonly slot: number;
}

export class SharedRows {
  readonly #memory: SharedMemory;
  readonly #rows = new Map<string, number>();

  constructor(memory: SharedMemory) {
    this.#memory = memory;
  }

  learn(rows: ReadonlyMap<string, number>): void {
    for (const [cluster, row] of rows) this.#rows.set(cluster, row);
  }

  /** Counts of this worker alone for a cluster without a row: there are too many. */
  countsOf(cluster: string): PodCounts {
    const { counts, workers, slot } = this.#memory;
    const row = this.#rows.get(cluster);
    return row === undefined ? localCounts() : sharedCounts(counts, row, workers, slot);
  }
}
