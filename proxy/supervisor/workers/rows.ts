/**
 * Gives each cluster a row of the counts that the workers share. Knows no count and no thread.
 */
import { MAX_SHARED_CLUSTERS } from '../../exchange/pod-counts.ts';
import type { SnapshotChange } from '../../worker/messages.ts';

export class Rows {
  readonly #byCluster = new Map<string, number>();
  /** Of clusters that are gone, oldest first: streams of theirs may still be counted for a while. */
  readonly #gone = new Map<string, number>();

  /** Rows of the clusters of a change that is about to be sent; a cluster beyond the bound has none. */
  of({ clusters }: Pick<SnapshotChange, 'clusters'>): Map<string, number> {
    const rows = new Map<string, number>();
    for (const [name, config] of clusters) {
      if (config === null) this.#release(name);
      else {
        const row = this.#byCluster.get(name) ?? this.#take(name);
        if (row !== null) rows.set(name, row);
      }
    }
    return rows;
  }

  #take(name: string): number | null {
    const before = this.#gone.get(name);
    const row = before ?? this.#free();
    if (row === null) return null;
    if (before !== undefined) this.#gone.delete(name);
    this.#byCluster.set(name, row);
    return row;
  }

  #free(): number | null {
    const used = this.#byCluster.size + this.#gone.size;
    if (used < MAX_SHARED_CLUSTERS) return used;
    const [oldest] = this.#gone;
    if (oldest === undefined) return null;
    this.#gone.delete(oldest[0]);
    return oldest[1];
  }

  #release(name: string): void {
    const row = this.#byCluster.get(name);
    if (row === undefined) return;
    this.#byCluster.delete(name);
    this.#gone.set(name, row);
  }
}
