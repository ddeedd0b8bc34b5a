/**
 * Watches a changing set of folders, each by itself, and says that something happened, once for a burst.
 * One watch a folder, not the platform's recursive one: that would go into what is ignored, and not into what is linked.
 * Knows nothing of files.
 */
import { type FSWatcher, watch } from 'node:fs';
import type { Clock, Timer } from '#base/clock.ts';

/** Quiet time after an event before it is told: an editor writes in several steps. */
const QUIET_MS = 50;
/** Longest time that a lasting burst is kept back. */
const CEILING_MS = 500;

export class FolderWatch {
  readonly #clock: Clock;
  readonly #onChange: () => void;
  readonly #watchers = new Map<string, FSWatcher>();
  #timer: Timer | null = null;
  #firstAt = 0;

  constructor(clock: Clock, onChange: () => void) {
    this.#clock = clock;
    this.#onChange = onChange;
  }

  /** Does nothing when the folder is watched already, or cannot be: a periodic look finds what is missed here. */
  add(folder: string): void {
    if (this.#watchers.has(folder)) return;
    try {
      const watcher = watch(folder, { persistent: false }, () => this.poke());
      watcher.on('error', () => this.#drop(folder));
      this.#watchers.set(folder, watcher);
    } catch {
      // The folder is gone, or the platform has no more watches.
    }
  }

  /** Ends the watches of all other folders. */
  keepOnly(folders: ReadonlySet<string>): void {
    for (const folder of this.#watchers.keys()) {
      if (!folders.has(folder)) this.#drop(folder);
    }
  }

  /** Something happened. */
  poke(): void {
    const now = this.#clock.now();
    if (this.#timer === null) this.#firstAt = now;
    else this.#timer.cancel();
    const delayMs = Math.max(0, Math.min(QUIET_MS, this.#firstAt + CEILING_MS - now));
    this.#timer = this.#clock.after(delayMs, () => {
      this.#timer = null;
      this.#onChange();
    });
  }

  close(): void {
    this.#timer?.cancel();
    this.#timer = null;
    this.keepOnly(new Set());
  }

  #drop(folder: string): void {
    this.#watchers.get(folder)?.close();
    this.#watchers.delete(folder);
  }
}
