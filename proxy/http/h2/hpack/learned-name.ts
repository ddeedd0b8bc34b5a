/**
 * What the encoder remembers of one field name: how its values are treated, where it stands in the tables, which values came lately.
 * Bounded: a few values, none of them long.
 */
import { staticIndexOf, staticValuesFrom } from './static-table.ts';

/** `index` values that come again; send them `plain`, as they hardly ever do; or mark them `never`, for no hop to index (RFC 7541 7.1.3). */
export type Treatment = 'index' | 'plain' | 'never';

const TREATMENTS: ReadonlyMap<string, Treatment> = new Map<string, Treatment>([
  ...['authorization', 'proxy-authorization', 'cookie', 'set-cookie'].map((name): [string, Treatment] => [
    name,
    'never',
  ]),
  ...[
    ':path',
    'content-length',
    'traceparent',
    'tracestate',
    'x-request-id',
    'x-correlation-id',
    'x-b3-traceid',
    'x-b3-spanid',
    'x-b3-parentspanid',
    'b3',
    'grpc-timeout',
    'x-envoy-upstream-service-time',
  ].map((name): [string, Treatment] => [name, 'plain']),
]);

/** Values remembered of a name. */
const VALUES = 8;
/** After so many new values in a row the name is taken for one whose values do not come again ... */
const PATIENCE = 32;
/** ... and after so many it gets another chance. */
const REST = 1024;

export class LearnedName {
  readonly treatment: Treatment;
  /** Index in the static table, or 0; and the values of the entries from there. */
  readonly staticIndex: number;
  readonly staticValues: readonly string[];
  /** Number of the newest table entry of this name; 0: none yet. */
  number = 0;
  /** Lately seen, and the number of the table entry of each; 0: none yet. */
  readonly values: string[] = [];
  readonly numbers: number[] = [];
  #next = 0;
  #strangers = 0;

  constructor(name: string) {
    this.treatment = TREATMENTS.get(name) ?? 'index';
    this.staticIndex = staticIndexOf(name);
    this.staticValues = this.staticIndex === 0 ? [] : staticValuesFrom(this.staticIndex);
  }

  /** The place of `value` among those remembered; -1 when it is new. */
  placeOf(value: string): number {
    const values = this.values;
    for (let place = 0; place < values.length; place++) {
      if (values[place] !== value) continue;
      this.#strangers = 0;
      return place;
    }
    return -1;
  }

  /** False for a name whose values never come again, as far as was seen. */
  get isWorthLearning(): boolean {
    if (this.#strangers >= REST) this.#strangers = 0;
    return this.#strangers++ < PATIENCE;
  }

  /** Remembers a value seen for the first time, in the place of the oldest. */
  remember(value: string): void {
    this.values[this.#next] = value;
    this.numbers[this.#next] = 0;
    this.#next = (this.#next + 1) % VALUES;
  }

  /** `value` has become the table entry with this number. */
  setNumber(value: string, number: number): void {
    this.number = number;
    const place = this.values.indexOf(value);
    if (place >= 0) this.numbers[place] = number;
  }
}
