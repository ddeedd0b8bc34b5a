/**
 * Fields of one of our kinds as a table, from the definition in `crds`. Knows no kind.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';

const CRDS = join(import.meta.dirname, '..', '..', 'crds');

export interface Schema {
  readonly type?: string;
  readonly description?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly items?: Schema;
  readonly enum?: readonly unknown[];
  readonly default?: unknown;
  readonly format?: string;
}

function* fields(schema: Schema, path: string): Generator<[path: string, schema: Schema]> {
  for (const [name, child] of Object.entries(schema.properties ?? {})) {
    const here = path === '' ? name : `${path}.${name}`;
    yield [here, child];
    if (child.items === undefined) yield* fields(child, here);
    else yield* fields(child.items, `${here}[]`);
  }
}

export function kindOf({ type = 'any', items, enum: words, format }: Schema): string {
  if (words !== undefined) return words.map((word) => `\`${word === '' ? '""' : String(word)}\``).join(' ');
  if (items !== undefined) return `list of ${items.properties === undefined ? kindOf(items) : 'objects'}`;
  return format === undefined ? type : `${type} (${format})`;
}

/** Every field of `spec` in the one version there is, with its path. @param file in `crds/` */
export function fieldsOf(file: string): readonly (readonly [path: string, schema: Schema])[] {
  const crd = parse(readFileSync(join(CRDS, file), 'utf8')) as {
    spec: { versions: [{ schema: { openAPIV3Schema: { properties: { spec: Schema } } } }] };
  };
  return [...fields(crd.spec.versions[0].schema.openAPIV3Schema.properties.spec, '')];
}

/** Of a kind all of whose fields are in force. @param file in `crds/` */
export function definitionFields(file: string): string[][] {
  const rows = fieldsOf(file).map(([path, schema]) => [
    `\`${path}\``,
    kindOf(schema),
    schema.default === undefined ? '' : `\`${JSON.stringify(schema.default)}\``,
    schema.description ?? '',
  ]);
  return [['field of `spec`', 'value', 'default', 'meaning'], ...rows];
}
