/**
 * Fields that know their schema: what one reads from a value is what its OpenAPI schema says, so the CRD made from it cannot drift from the parser.
 * Here the scalars; `structure.ts` has objects, lists and maps. Knows no kind and no YAML.
 */
import { DURATION_ADVICE, parseDuration } from '#base/duration.ts';
import type { Problems } from '#base/problems.ts';

/** A structural schema (Kubernetes `apiextensions.k8s.io/v1`), as far as it is used here. */
export interface Schema {
  readonly type?: 'object' | 'array' | 'string' | 'integer' | 'number' | 'boolean';
  readonly description?: string;
  readonly [keyword: string]: unknown;
}

export interface Field<T> {
  readonly schema: Schema;
  /** The value read, or undefined when it was refused: then at least one problem was added. Never throws. */
  readonly read: (value: unknown, path: string, problems: Problems) => T | undefined;
}

export type ValueOf<F> = F extends Field<infer T> ? T : never;

/** Longest value that is repeated in a sentence. */
const MAX_QUOTED = 40;

/** What a value is, for a sentence: `the string "x"`, `the number 5`, `a list`. */
export function describe(value: unknown): string {
  if (value === null || value === undefined) return 'null';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'string') return `the string ${quote(value)}`;
  const plain = typeof value === 'number' || typeof value === 'boolean';
  return plain ? `the ${typeof value} ${value}` : 'an object';
}

function quote(text: string): string {
  return JSON.stringify(text.length > MAX_QUOTED ? `${text.slice(0, MAX_QUOTED)}…` : text);
}

/** `a, b or c`. */
export function oneOf(words: readonly string[]): string {
  return words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} or ${words.at(-1) ?? ''}`;
}

export interface TextForm {
  /** Lengths in characters (code points), as an API server counts them. */
  readonly minLength?: number;
  readonly maxLength?: number;
  /** For the whole string. */
  readonly pattern?: RegExp;
  /** What the pattern wants, in a sentence: `write a DNS label such as …`. */
  readonly advice?: string;
}

export function string(form: TextForm = {}): Field<string> {
  const { minLength = 0, maxLength = Number.POSITIVE_INFINITY, pattern, advice = '' } = form;
  const schema: Schema = {
    type: 'string',
    ...(minLength > 0 && { minLength }),
    ...(Number.isFinite(maxLength) && { maxLength }),
    ...(pattern !== undefined && { pattern: pattern.source.replaceAll(String.raw`\/`, '/') }),
  };
  return {
    schema,
    read(value, path, problems) {
      const text = readText(value, path, problems);
      if (text === undefined) return undefined;
      // UTF-16 units are never fewer than code points, so most strings need no count.
      const length = text.length <= maxLength && text.length > minLength * 2 ? text.length : Array.from(text).length;
      if (length < minLength) problems.add(path, minLength === 1 ? 'is empty' : `is shorter than ${minLength}`, advice);
      else if (length > maxLength) problems.add(path, `is longer than ${maxLength} characters`, advice);
      else if (pattern !== undefined && !pattern.test(text))
        problems.add(path, `${quote(text)} is not valid here`, advice);
      else return text;
      return undefined;
    },
  };
}

function readText(value: unknown, path: string, problems: Problems): string | undefined {
  if (typeof value === 'string') return value;
  const quotable = typeof value === 'number' || typeof value === 'boolean';
  problems.add(path, `must be a string, is ${describe(value)}`, quotable ? `put it in quotes: "${value}"` : '');
  return undefined;
}

/** A string with a check of its own that no schema can say, such as a regular expression: `check` returns what is wrong, or ''. */
export function checked(field: Field<string>, check: (text: string) => string, advice = ''): Field<string> {
  return {
    schema: field.schema,
    read(value, path, problems) {
      const text = field.read(value, path, problems);
      if (text === undefined) return undefined;
      const reason = check(text);
      if (reason === '') return text;
      problems.add(path, reason, advice);
      return undefined;
    },
  };
}

function numeric(type: 'integer' | 'number', min: number, max: number, format: Schema): Field<number> {
  const noun = type === 'integer' ? 'an integer' : 'a number';
  return {
    schema: { type, ...format, minimum: min, maximum: max },
    read(value, path, problems) {
      if (typeof value !== 'number' || !Number.isFinite(value) || (type === 'integer' && !Number.isInteger(value))) {
        const quoted = typeof value === 'string' && value.trim() !== '' && Number.isFinite(Number(value));
        problems.add(
          path,
          `must be ${noun}, is ${describe(value)}`,
          quoted ? 'write it without quotes' : `write ${min} to ${max}`,
        );
      } else if (value < min || value > max) problems.add(path, `is ${value}, must be ${min} to ${max}`);
      else return value;
      return undefined;
    },
  };
}

export const MAX_INT32 = 2_147_483_647;

/** An integer with both bounds included. */
export function integer(min: number, max: number): Field<number> {
  return numeric('integer', min, max, { format: max <= MAX_INT32 ? 'int32' : 'int64' });
}

/** A number, fractions allowed, with both bounds included. */
export function number(min: number, max: number): Field<number> {
  return numeric('number', min, max, {});
}

export function boolean(): Field<boolean> {
  return {
    schema: { type: 'boolean' },
    read(value, path, problems) {
      if (typeof value === 'boolean') return value;
      problems.add(path, `must be true or false, is ${describe(value)}`);
      return undefined;
    },
  };
}

export function choice<const T extends string>(values: readonly T[]): Field<T> {
  return {
    schema: { type: 'string', enum: values },
    read(value, path, problems) {
      const found = values.find((v) => v === value);
      if (found === undefined) problems.add(path, `must be ${oneOf(values)}, is ${describe(value)}`);
      return found;
    },
  };
}

/** Four parts of at most five digits and two letters. */
const MAX_DURATION_LENGTH = 28;

/** A duration as Gateway API writes it (GEP-2257), read as milliseconds, with both bounds included; bounds in the same writing. */
export function duration(min = '0s', max = ''): Field<number> {
  const minMs = parseDuration(min) ?? 0;
  const maxMs = max === '' ? Number.POSITIVE_INFINITY : (parseDuration(max) ?? 0);
  const atLeast =
    minMs > 0 ? [{ rule: `duration(self) >= duration('${min}')`, message: `must be at least ${min}` }] : [];
  const atMost =
    max === '' ? [] : [{ rule: `duration(self) <= duration('${max}')`, message: `must be at most ${max}` }];
  const rules = [...atLeast, ...atMost];
  return {
    schema: {
      type: 'string',
      maxLength: MAX_DURATION_LENGTH,
      pattern: '^([0-9]{1,5}(h|m|s|ms)){1,4}$',
      ...(rules.length > 0 && { 'x-kubernetes-validations': rules }),
    },
    read(value, path, problems) {
      const ms = typeof value === 'string' ? parseDuration(value) : null;
      if (ms === null) problems.add(path, `is no duration: ${describe(value)}`, DURATION_ADVICE);
      else if (ms < minMs) problems.add(path, `must be at least ${min}`);
      else if (ms > maxMs) problems.add(path, `must be at most ${max}`);
      else return ms;
      return undefined;
    },
  };
}

/** A number in these bounds, or a name (Kubernetes' IntOrString), such as a target port. */
export function integerOrName(min: number, max: number, name: Field<string>): Field<number | string> {
  const int = integer(min, max);
  return {
    schema: { 'x-kubernetes-int-or-string': true },
    read: (value, path, problems) => (typeof value === 'string' ? name : int).read(value, path, problems),
  };
}

/** Anything, kept as it is and not looked into. */
export const ANYTHING: Field<unknown> = {
  schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
  read: (value) => value ?? null,
};
