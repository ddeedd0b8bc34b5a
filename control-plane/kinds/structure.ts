/**
 * Objects, lists and maps of fields. `object` is for kinds that are ours to judge: an unknown field is a problem;
 * `part` is for kinds of which we read a part: other fields are ignored. Null counts as absent, as an API server prunes it.
 */
import type { Problems } from '#base/problems.ts';
import { describe, type Field, type Schema } from './field.ts';
import { nearest } from './nearest.ts';

export interface Member<T> {
  readonly field: Field<unknown>;
  readonly required: boolean;
  /** Counts when the member is absent. */
  readonly fallback: T;
  readonly description: string;
  /** The fallback stands in the schema too: an API server fills it in. */
  readonly defaulted: boolean;
}

type Members = Readonly<Record<string, Member<unknown>>>;
type Values<M extends Members> = { readonly [K in keyof M]: M[K] extends Member<infer T> ? T : never };

/** A rule between fields. */
export interface Check<T> {
  /** What is wrong, in a sentence without final stop. */
  readonly message: string;
  readonly holds: (value: T) => boolean;
  /** The member the problem is shown at; the object itself when not given. */
  readonly at?: string;
}

/** A check that stands in our definition too, in CEL over `self`; a test holds the two together. Kinds of others carry their rules themselves. */
export interface Rule<T> extends Check<T> {
  readonly rule: string;
}

export function required<T>(field: Field<T>, description = ''): Member<T> {
  // The fallback is never seen: an object without a required member is refused.
  return { field, required: true, fallback: undefined as T, description, defaulted: false };
}

export function optional<T>(field: Field<T>, fallback: NoInfer<T>, description?: string): Member<T>;
export function optional<T, const D>(field: Field<T>, fallback: D, description?: string): Member<T | D>;
export function optional(field: Field<unknown>, fallback: unknown, description = ''): Member<unknown> {
  return { field, required: false, fallback, description, defaulted: false };
}

/** Like `optional`, with the default written into the schema. */
export function defaulted<T>(field: Field<T>, fallback: NoInfer<T>, description = ''): Member<T> {
  return { field, required: false, fallback, description, defaulted: true };
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/**
 * Strict: see the head of this file. Rules are checked once all members are in good form, as an API server does.
 * @param advice for unknown keys that are known to come about by mistake; others get the nearest known name
 */
export function object<M extends Members>(
  members: M,
  checks: readonly Check<Values<M>>[] = [],
  advice: Readonly<Record<string, string>> = {},
): Field<Values<M>> {
  return {
    schema: objectSchema(members, checks.filter(isRule)),
    read(value, path, problems) {
      if (!isObject(value, path, problems)) return undefined;
      const before = problems.list.length + problems.dropped;
      const known = Object.keys(members);
      for (const key of Object.keys(value)) {
        if (!Object.hasOwn(members, key)) addUnknown(key, known, path, problems, advice[key]);
      }
      const values = readMembers(members, value, path, problems);
      if (values === undefined || problems.list.length + problems.dropped > before) return undefined;
      return obeys(values, checks, path, problems) ? values : undefined;
    },
  };
}

/** Lenient: see the head of this file. Its schema is nobody's definition. */
export function part<M extends Members>(members: M, checks: readonly Check<Values<M>>[] = []): Field<Values<M>> {
  return {
    schema: objectSchema(members, []),
    read(value, path, problems) {
      if (!isObject(value, path, problems)) return undefined;
      const values = readMembers(members, value, path, problems);
      return values !== undefined && obeys(values, checks, path, problems) ? values : undefined;
    },
  };
}

function isRule<T>(check: Check<T>): check is Rule<T> {
  return 'rule' in check;
}

function objectSchema(members: Members, rules: readonly Rule<never>[]): Schema {
  const properties: Record<string, Schema> = {};
  for (const [key, { field, description, defaulted, fallback }] of Object.entries(members)) {
    properties[key] = {
      ...(description !== '' && { description }),
      ...field.schema,
      ...(defaulted && { default: fallback }),
    };
  }
  const names = Object.keys(members).filter((key) => members[key]?.required === true);
  const validations = rules.map(({ rule, message, at }) => ({
    rule,
    message,
    ...(at !== undefined && { fieldPath: `.${at}` }),
  }));
  return {
    type: 'object',
    ...(names.length > 0 && { required: names }),
    properties,
    ...(validations.length > 0 && { 'x-kubernetes-validations': validations }),
  };
}

function isObject(value: unknown, path: string, problems: Problems): value is Readonly<Record<string, unknown>> {
  if (isRecord(value)) return true;
  problems.add(path, `must be an object, is ${describe(value)}`);
  return false;
}

function addUnknown(key: string, known: readonly string[], path: string, problems: Problems, advice?: string): void {
  const guess = nearest(key, known);
  const guessed = guess === null ? `known here: ${known.join(', ')}` : `did you mean '${guess}'?`;
  problems.add(memberPath(path, key), 'is an unknown field', advice ?? guessed);
}

function memberPath(path: string, key: string): string {
  const step = /^[\w-]+$/.test(key) ? key : `[${key}]`;
  return path === '' || step !== key ? `${path}${step}` : `${path}.${step}`;
}

function readMembers<M extends Members>(
  members: M,
  value: Readonly<Record<string, unknown>>,
  path: string,
  problems: Problems,
): Values<M> | undefined {
  const values: Record<string, unknown> = {};
  let refused = false;
  for (const [key, member] of Object.entries(members)) {
    const given = Object.hasOwn(value, key) ? value[key] : undefined;
    if (given === undefined || given === null) {
      values[key] = member.fallback;
      if (!member.required) continue;
      problems.add(memberPath(path, key), 'is missing');
      refused = true;
      continue;
    }
    values[key] = member.field.read(given, memberPath(path, key), problems);
    refused ||= values[key] === undefined;
  }
  return refused ? undefined : (values as Values<M>);
}

function obeys<T>(value: T, rules: readonly Check<T>[], path: string, problems: Problems): boolean {
  const broken = rules.filter((rule) => !rule.holds(value));
  for (const { message, at } of broken) problems.add(at === undefined ? path : memberPath(path, at), message);
  return broken.length === 0;
}

export interface ListForm<T> {
  readonly minItems?: number;
  readonly maxItems: number;
  /** Items must differ in this key: a list-type `map` with `keys`, or a `set` where `keys` is empty. */
  readonly unique?: { readonly keys: readonly string[]; readonly of: (item: T) => string };
}

export function list<T>(item: Field<T>, form: ListForm<T>): Field<readonly T[]> {
  const { minItems = 0, maxItems, unique } = form;
  return {
    schema: {
      type: 'array',
      ...(minItems > 0 && { minItems }),
      maxItems,
      ...listType(unique?.keys),
      items: item.schema,
    },
    read(value, path, problems) {
      if (!Array.isArray(value)) {
        problems.add(path, `must be a list, is ${describe(value)}`);
        return undefined;
      }
      if (value.length < minItems || value.length > maxItems) {
        problems.add(path, `has ${value.length} items, must have ${minItems} to ${maxItems}`);
        return undefined;
      }
      const items = value.map((v, i) => item.read(v, `${path}[${i}]`, problems));
      if (items.includes(undefined)) return undefined;
      const read = items as T[];
      return unique === undefined || differs(read, unique.of, path, problems) ? read : undefined;
    },
  };
}

function listType(keys: readonly string[] | undefined): Schema {
  if (keys === undefined) return { 'x-kubernetes-list-type': 'atomic' };
  if (keys.length === 0) return { 'x-kubernetes-list-type': 'set' };
  return { 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': keys };
}

function differs<T>(items: readonly T[], key: (item: T) => string, path: string, problems: Problems): boolean {
  const seen = new Map<string, number>();
  let differ = true;
  for (const [i, item] of items.entries()) {
    const first = seen.get(key(item));
    if (first === undefined) seen.set(key(item), i);
    else {
      problems.add(`${path}[${i}]`, `is the same as ${path}[${first}]`, 'remove one of them');
      differ = false;
    }
  }
  return differ;
}

/** A map of strings to values of one kind, such as labels. */
export function map<T>(key: Field<string>, value: Field<T>, maxProperties: number): Field<Readonly<Record<string, T>>> {
  return {
    schema: { type: 'object', maxProperties, additionalProperties: value.schema },
    read(given, path, problems) {
      if (!isObject(given, path, problems)) return undefined;
      const entries = Object.entries(given);
      if (entries.length > maxProperties) {
        problems.add(path, `has ${entries.length} entries, must have at most ${maxProperties}`);
        return undefined;
      }
      const result: [string, T][] = [];
      for (const [name, item] of entries) {
        const at = `${path}[${name}]`;
        const readKey = key.read(name, at, problems);
        const readItem = value.read(item, at, problems);
        if (readKey !== undefined && readItem !== undefined) result.push([readKey, readItem]);
      }
      return result.length === entries.length ? Object.fromEntries(result) : undefined;
    },
  };
}
