/**
 * Names and labels of what is counted. A series is resolved to a handle once, when a snapshot is linked; counting is then an addition.
 * Families are bounded: labels that come with the configuration must not eat the memory (CVE-2025-43915). Knows no exposition format.
 */
import { allocatePage, CellPages, Counter, Gauge, type PageAllocator } from './cells.ts';
import { DURATION_BOUNDS_SECONDS, Histogram, histogramCells } from './histogram.ts';

export type MetricType = 'counter' | 'gauge' | 'histogram';

export interface Series<H> {
  /** Values, in the order of the family's label names. */
  readonly labels: readonly string[];
  readonly handle: H;
}

export interface FamilyDefinition {
  readonly name: string;
  readonly help: string;
  readonly type: MetricType;
  readonly labelNames: readonly string[];
}

/** What a reader of metrics needs of a family. */
export interface FamilyView extends FamilyDefinition {
  series(): Iterable<Series<Counter | Histogram>>;
}

/** Hears of every series when it is made: so another thread can read its cells. */
export interface SeriesObserver {
  /** @param bounds of a histogram; empty otherwise */
  onSeries(
    family: FamilyDefinition,
    bounds: readonly number[],
    labels: readonly string[],
    page: Float64Array,
    index: number,
  ): void;
}

/** Series of a family beyond this share one whose every label is `other`. */
export const DEFAULT_MAX_SERIES = 2000;
const OVERFLOW_LABEL = 'other';
const DROPPED_NAME = 'tulle_metrics_series_dropped_total';

/** All series of one name. */
export class MetricFamily<H> implements FamilyDefinition {
  readonly name: string;
  readonly help: string;
  readonly type: MetricType;
  readonly labelNames: readonly string[];
  readonly #maxSeries: number;
  readonly #make: () => H;
  readonly #onDrop: () => void;
  readonly #onMade: (labels: readonly string[], handle: H) => void;
  readonly #series = new Map<string, Series<H>>();
  #overflow: Series<H> | null = null;

  constructor(
    definition: FamilyDefinition,
    maxSeries: number,
    make: () => H,
    onDrop: () => void,
    onMade: (labels: readonly string[], handle: H) => void,
  ) {
    assertNames(definition.name, definition.labelNames);
    this.name = definition.name;
    this.help = definition.help;
    this.type = definition.type;
    this.labelNames = definition.labelNames;
    this.#maxSeries = maxSeries;
    this.#make = make;
    this.#onDrop = onDrop;
    this.#onMade = onMade;
  }

  /** The series with these label values, made on first use. Not for the hot path: keep the handle. */
  with(...labels: string[]): H {
    if (labels.length !== this.labelNames.length) {
      throw new Error(`${this.name} has ${this.labelNames.length} labels, not ${labels.length}`);
    }
    const key = labels.join('\0');
    const known = this.#series.get(key);
    if (known !== undefined) return known.handle;
    if (this.#series.size >= this.#maxSeries) return this.#other();
    const series = this.#add(labels);
    this.#series.set(key, series);
    return series.handle;
  }

  *series(): Generator<Series<H>> {
    yield* this.#series.values();
    if (this.#overflow !== null) yield this.#overflow;
  }

  #other(): H {
    this.#onDrop();
    this.#overflow ??= this.#add(this.labelNames.map(() => OVERFLOW_LABEL));
    return this.#overflow.handle;
  }

  #add(labels: readonly string[]): Series<H> {
    const handle = this.#make();
    this.#onMade(labels, handle);
    return { labels, handle };
  }
}

export type AnyFamily = MetricFamily<Counter> | MetricFamily<Histogram>;

export class MetricRegistry {
  readonly #cells: CellPages;
  readonly #maxSeries: number;
  readonly #families = new Map<string, AnyFamily>();
  readonly #dropped: MetricFamily<Counter>;
  readonly #observer: SeriesObserver | null;

  constructor(
    maxSeriesPerFamily = DEFAULT_MAX_SERIES,
    allocate: PageAllocator = allocatePage,
    observer: SeriesObserver | null = null,
  ) {
    this.#observer = observer;
    this.#cells = new CellPages(allocate);
    this.#maxSeries = maxSeriesPerFamily;
    this.#dropped = this.counter(DROPPED_NAME, 'Times that a series was asked for beyond the bound of its family.', [
      'metric',
    ]);
  }

  /** @param name `tulle_..._total`; a name can be defined once only */
  counter(name: string, help: string, labelNames: readonly string[] = []): MetricFamily<Counter> {
    return this.#register({ name, help, type: 'counter', labelNames }, () => {
      const { page, index } = this.#cells.take(1);
      return new Counter(page, index);
    });
  }

  gauge(name: string, help: string, labelNames: readonly string[] = []): MetricFamily<Gauge> {
    return this.#register({ name, help, type: 'gauge', labelNames }, () => {
      const { page, index } = this.#cells.take(1);
      return new Gauge(page, index);
    });
  }

  /** @param name with its unit, as in `tulle_..._seconds` */
  histogram(
    name: string,
    help: string,
    labelNames: readonly string[] = [],
    bounds: readonly number[] = DURATION_BOUNDS_SECONDS,
  ): MetricFamily<Histogram> {
    const shared = Float64Array.from(bounds);
    const make = (): Histogram => {
      const { page, index } = this.#cells.take(histogramCells(bounds));
      return new Histogram(shared, page, index);
    };
    return this.#register({ name, help, type: 'histogram', labelNames }, make, bounds);
  }

  /** In order of definition. */
  families(): Iterable<AnyFamily> {
    return this.#families.values();
  }

  #register<H extends Counter | Histogram>(
    definition: FamilyDefinition,
    make: () => H,
    bounds: readonly number[] = [],
  ): MetricFamily<H> {
    const { name } = definition;
    if (this.#families.has(name)) throw new Error(`metric ${name} is defined twice`);
    const onDrop = (): void => this.#dropped.with(name).inc();
    const onMade = (labels: readonly string[], { page, index }: H): void =>
      this.#observer?.onSeries(definition, bounds, labels, page, index);
    const family = new MetricFamily(definition, this.#maxSeries, make, onDrop, onMade);
    this.#families.set(name, family as unknown as AnyFamily);
    return family;
  }
}

/** Prometheus data model; `le` is the histogram's own. */
function assertNames(name: string, labelNames: readonly string[]): void {
  const bad = labelNames.find((label) => !/^[a-z_][a-z0-9_]*$/.test(label) || label.startsWith('__') || label === 'le');
  if (!/^[a-z_][a-z0-9_]*$/.test(name) || bad !== undefined) {
    throw new Error(`no valid metric: ${name} ${labelNames.join(',')}`);
  }
}
