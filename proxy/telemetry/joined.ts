/**
 * The metrics of several threads as those of one process: series with the same labels are added up. A thread that ended leaves its
 * counters, for a counter never goes down; its gauges end with it. Reads cells that others write; knows no thread and no format.
 */
import { Counter } from './cells.ts';
import { Histogram } from './histogram.ts';
import type { FamilyDefinition, FamilyView, Series } from './metrics.ts';

/** A series that another thread counts, and where its cells are. */
export interface SharedSeries {
  readonly family: FamilyDefinition;
  readonly bounds: readonly number[];
  readonly labels: readonly string[];
  readonly page: Float64Array;
  readonly index: number;
}

interface Joined {
  readonly labels: readonly string[];
  /** One for each thread that counts it now. */
  readonly parts: Map<number, { readonly page: Float64Array; readonly index: number }>;
  /** What threads that ended have counted; null: nothing. */
  ended: Float64Array | null;
}

class JoinedFamily implements FamilyView {
  readonly name: string;
  readonly help: string;
  readonly type: FamilyDefinition['type'];
  readonly labelNames: readonly string[];
  readonly #bounds: Float64Array;
  readonly #cells: number;
  readonly #series = new Map<string, Joined>();

  constructor({ name, help, type, labelNames }: FamilyDefinition, bounds: readonly number[]) {
    this.name = name;
    this.help = help;
    this.type = type;
    this.labelNames = labelNames;
    this.#bounds = Float64Array.from(bounds);
    this.#cells = type === 'histogram' ? bounds.length + 2 : 1;
  }

  add(thread: number, { labels, page, index }: SharedSeries): void {
    const key = labels.join('\0');
    let joined = this.#series.get(key);
    if (joined === undefined) this.#series.set(key, (joined = { labels, parts: new Map(), ended: null }));
    joined.parts.set(thread, { page, index });
  }

  end(thread: number): void {
    for (const [key, joined] of this.#series) {
      const part = joined.parts.get(thread);
      if (part === undefined) continue;
      joined.parts.delete(thread);
      if (this.type !== 'gauge') {
        joined.ended ??= new Float64Array(this.#cells);
        addCells(joined.ended, part.page, part.index);
      } else if (joined.parts.size === 0) this.#series.delete(key);
    }
  }

  *series(): Generator<Series<Counter | Histogram>> {
    for (const { labels, parts, ended } of this.#series.values()) {
      const sum = new Float64Array(this.#cells);
      if (ended !== null) addCells(sum, ended, 0);
      for (const { page, index } of parts.values()) addCells(sum, page, index);
      yield { labels, handle: this.type === 'histogram' ? new Histogram(this.#bounds, sum, 0) : new Counter(sum, 0) };
    }
  }
}

export class JoinedMetrics {
  readonly #own: { families(): Iterable<FamilyView> };
  readonly #joined = new Map<string, JoinedFamily>();

  /** @param own what the reading thread counts itself; names are its own, or those of no other thread */
  constructor(own: { families(): Iterable<FamilyView> }) {
    this.#own = own;
  }

  *families(): Generator<FamilyView> {
    const own = [...this.#own.families()];
    const names = new Set(own.map(({ name }) => name));
    for (const family of own) {
      const joined = this.#joined.get(family.name);
      yield joined === undefined ? family : bothOf(family, joined);
    }
    for (const family of this.#joined.values()) if (!names.has(family.name)) yield family;
  }

  add(thread: number, series: SharedSeries): void {
    const { name } = series.family;
    let family = this.#joined.get(name);
    if (family === undefined) this.#joined.set(name, (family = new JoinedFamily(series.family, series.bounds)));
    family.add(thread, series);
  }

  /** A thread ended. */
  end(thread: number): void {
    for (const family of this.#joined.values()) family.end(thread);
  }
}

/** Labels of the two are never the same: what the supervisor counts, workers do not. */
function bothOf(own: FamilyView, joined: FamilyView): FamilyView {
  const { name, help, type, labelNames } = own;
  return { name, help, type, labelNames, series: () => [...own.series(), ...joined.series()] };
}

function addCells(sum: Float64Array, page: Float64Array, index: number): void {
  for (let cell = 0; cell < sum.length; cell++) sum[cell]! += page[index + cell]!;
}
