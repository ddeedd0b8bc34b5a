/**
 * Judges values as an API server would by a CRD's structural schema with strict field validation, and makes values at every boundary of one.
 * Written apart from the parser, so that the two can be held against each other.
 */
import { compileFunction } from 'node:vm';

export interface Schema {
  readonly type?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly items?: Schema;
  readonly required?: readonly string[];
  readonly enum?: readonly unknown[];
  readonly default?: unknown;
  readonly pattern?: string;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly 'x-kubernetes-list-type'?: string;
  readonly 'x-kubernetes-list-map-keys'?: readonly string[];
  readonly 'x-kubernetes-validations'?: readonly { readonly rule: string; readonly message: string }[];
}

type Fields = Readonly<Record<string, unknown>>;

const isFields = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Prunes nulls and fills defaults in, as an API server does before it validates. */
export function filled(schema: Schema, value: unknown): unknown {
  if (Array.isArray(value))
    return value.map((item) => (schema.items === undefined ? item : filled(schema.items, item)));
  if (!isFields(value)) return value;
  const result: Record<string, unknown> = {};
  for (const [key, item] of Object.entries(value)) {
    if (item !== null) result[key] = filled(schema.properties?.[key] ?? {}, item);
  }
  for (const [key, property] of Object.entries(schema.properties ?? {})) {
    if (!(key in result) && property.default !== undefined) result[key] = property.default;
  }
  return result;
}

/** Whether a filled value is accepted. */
export function accepts(schema: Schema, value: unknown): boolean {
  return fits(schema, value) && rulesHold(schema, value);
}

function fits(schema: Schema, value: unknown): boolean {
  if (schema.enum !== undefined && !schema.enum.includes(value)) return false;
  switch (schema.type) {
    case 'object':
      return isFields(value) && fitsObject(schema, value);
    case 'array':
      return Array.isArray(value) && fitsArray(schema, value);
    case 'string':
      return typeof value === 'string' && fitsString(schema, value);
    case 'integer':
    case 'number':
      return typeof value === 'number' && fitsNumber(schema, value);
    case 'boolean':
      return typeof value === 'boolean';
    case undefined:
    default:
      throw new Error(`a structural schema needs a type, has ${String(schema.type)}`);
  }
}

function fitsObject(schema: Schema, value: Fields): boolean {
  const properties = schema.properties ?? {};
  return (
    (schema.required ?? []).every((key) => key in value) &&
    Object.entries(value).every(([key, item]) => properties[key] !== undefined && fits(properties[key], item))
  );
}

function fitsArray(schema: Schema, value: readonly unknown[]): boolean {
  const { items, minItems = 0, maxItems = Number.POSITIVE_INFINITY } = schema;
  if (value.length < minItems || value.length > maxItems || items === undefined) return false;
  const keys = schema['x-kubernetes-list-map-keys'] ?? [];
  const identity = (item: unknown): string =>
    JSON.stringify(keys.length === 0 || !isFields(item) ? item : keys.map((key) => item[key]));
  const distinct = schema['x-kubernetes-list-type'] !== 'atomic';
  if (distinct && new Set(value.map(identity)).size < value.length) return false;
  return value.every((item) => fits(items, item));
}

function fitsString({ minLength = 0, maxLength = Number.POSITIVE_INFINITY, pattern }: Schema, value: string): boolean {
  const length = Array.from(value).length;
  return length >= minLength && length <= maxLength && (pattern === undefined || new RegExp(pattern).test(value));
}

function fitsNumber({ type, minimum = -Infinity, maximum = Infinity }: Schema, value: number): boolean {
  return value >= minimum && value <= maximum && (type === 'number' || Number.isInteger(value));
}

function rulesHold(schema: Schema, value: unknown): boolean {
  const rules = schema['x-kubernetes-validations'] ?? [];
  if (!rules.every(({ rule }) => holds(rule, value))) return false;
  if (Array.isArray(value)) return value.every((item) => rulesHold(schema.items ?? {}, item));
  if (!isFields(value)) return true;
  return Object.entries(value).every(([key, item]) => rulesHold(schema.properties?.[key] ?? {}, item));
}

const compiled = new Map<string, ReturnType<typeof compileFunction>>();

/** The CEL that our rules use is JavaScript but for its macros and durations. */
function holds(rule: string, self: unknown): boolean {
  let run = compiled.get(rule);
  if (run === undefined) {
    const one = rule.includes('.exists_one(');
    const script = rule
      .replaceAll(/\bhas\(([\w.]+)\)/g, '($1 !== undefined)')
      .replaceAll(/\.exists\((\w+), /g, '.some(($1) => ')
      .replaceAll(/\.all\((\w+), /g, '.every(($1) => ')
      .replaceAll(/\.filter\((\w+), /g, '.filter(($1) => ')
      .replaceAll('.size()', '.length')
      .replaceAll(/\.exists_one\((\w+), /g, '.filter(($1) => ');
    run = compileFunction(`return (${script})${one ? '.length === 1' : ''}`, ['self', 'duration']);
    compiled.set(rule, run);
  }
  return run(self, milliseconds) === true;
}

function milliseconds(text: string): number {
  const units: Readonly<Record<string, number>> = { h: 3_600_000, m: 60_000, s: 1000, ms: 1 };
  return Array.from(text.matchAll(/(\d+)(ms|h|m|s)/g), ([, n, unit]) => Number(n) * (units[unit ?? ''] ?? 0)).reduce(
    (sum, part) => sum + part,
    0,
  );
}

const WORDS = ['a', 'reviews', '', 'A', '-a', 'a_b', 'a b', 'a\n', '/a', 'gateway.networking.k8s.io', 'é', '\u{1f600}'];
const DURATIONS = [
  '0s',
  '1ms',
  '99ms',
  '100ms',
  '999ms',
  '1s',
  '5s',
  '1h',
  '1h1ms',
  '24h',
  '24h1ms',
  '1h1m1s1ms',
  '1.5s',
  '-1s',
  '100000s',
  's',
];
const WRONG_TYPES = [null, 'text', 1, 1.5, true, [], {}, [null]];

/** Values around every bound of a schema, good and bad; the first is good. */
export function samples(schema: Schema): readonly unknown[] {
  return [...new Set([...goodFirst(schema), ...WRONG_TYPES])];
}

function goodFirst(schema: Schema): readonly unknown[] {
  if (schema.enum !== undefined) return [...schema.enum, 'other', ''];
  if (schema.type === 'object') return objectSamples(schema);
  if (schema.type === 'array') return arraySamples(schema);
  if (schema.type === 'boolean') return [true, false];
  if (schema.type === 'string') return stringSamples(schema);
  const { minimum = 0, maximum = 0 } = schema;
  return [minimum, minimum - 1, minimum + 0.5, minimum + 1, maximum - 1, maximum, maximum + 1, String(minimum)];
}

function stringSamples(schema: Schema): readonly unknown[] {
  const { minLength = 0, maxLength = 100 } = schema;
  const lengths = [minLength - 1, minLength, maxLength, maxLength + 1].filter((n) => n >= 0);
  const sized = lengths.flatMap((n) => ['a'.repeat(n), `/${'a'.repeat(Math.max(0, n - 1))}`]);
  const durations = schema.pattern?.includes('(h|m|s|ms)') === true ? DURATIONS : DURATIONS.slice(0, 1);
  const all = [...WORDS, ...sized, ...durations];
  const good = all.find((text) => fits(schema, text) && rulesHold(schema, text));
  return [good ?? 'a', ...all];
}

function arraySamples(schema: Schema): readonly unknown[] {
  const { items = {}, minItems = 0, maxItems = 0 } = schema;
  const each = samples(items);
  const distinct = each.filter((item) => accepts(items, filled(items, item)));
  const many = (n: number): unknown[] => Array.from({ length: n }, (_, i) => distinct[i % distinct.length]);
  const full = [minItems, maxItems, maxItems + 1].map(many);
  return [
    many(Math.max(1, minItems)),
    ...each.map((item) => [item]),
    [each[0], each[0]],
    distinct.slice(0, 2),
    ...full,
  ];
}

/** As many samples of a second member go with each sample of a first one. */
const PAIRED = 12;

/** One good object, then each member at each of its samples, alone and beside samples of the members that a rule ties it to, with the numbers that the rule names. */
function objectSamples(schema: Schema): readonly unknown[] {
  const entries = Object.entries(schema.properties ?? {}).map(([key, property]) => [key, samples(property)] as const);
  const least = Object.fromEntries(
    entries.filter(([key]) => schema.required?.includes(key) === true).map(([key, all]) => [key, all[0]]),
  );
  const all: unknown[] = [least, { ...least, unknownField: 1 }];
  for (const key of schema.required ?? [])
    all.push(Object.fromEntries(Object.entries(least).filter(([k]) => k !== key)));
  for (const [key, values] of entries) for (const value of values) all.push({ ...least, [key]: value });
  for (const { rule } of schema['x-kubernetes-validations'] ?? []) {
    const named = Array.from(rule.matchAll(/\b\d+\b/g), ([digits]) => Number(digits));
    const tied = entries
      .filter(([key]) => rule.includes(`self.${key}`))
      .map(
        ([key, values]) =>
          [key, schema.properties?.[key]?.type === 'integer' ? [...values, ...named] : values] as const,
      );
    for (const [key, values] of tied) {
      for (const [other, others] of tied) {
        if (key >= other) continue;
        const property = schema.properties?.[other] ?? {};
        const partners = others.filter((value) => accepts(property, filled(property, value))).slice(0, PAIRED);
        for (const value of values) {
          for (const partner of partners) all.push({ ...least, [key]: value, [other]: partner });
        }
      }
    }
  }
  const first = all.find((value) => accepts(schema, filled(schema, value)));
  return first === undefined ? all : [first, ...all];
}
