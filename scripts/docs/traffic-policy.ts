/**
 * Fields of a TrafficPolicy as a table, from the definition in `crds`, and which of them are in force.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';

const CRD = join(import.meta.dirname, '..', '..', 'crds', 'trafficpolicies.yaml');

/** Accepted and checked, but without effect in this version. Below such a field nothing is in force either. */
export const NOT_IN_FORCE = [
  'retries.hedge',
  'loadBalancer.hashOn',
  'loadBalancer.slowStart',
  'loadBalancer.locality',
  'circuitBreaker',
  'rateLimit',
  'fault',
  'healthCheck',
  'tracing',
];

interface Schema {
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

function kindOf({ type = 'any', items, enum: words, format }: Schema): string {
  if (words !== undefined) return words.map((word) => `\`${word === '' ? '""' : String(word)}\``).join(' ');
  if (items !== undefined) return `list of ${items.properties === undefined ? kindOf(items) : 'objects'}`;
  return format === undefined ? type : `${type} (${format})`;
}

/** The schema of `spec` in the one version there is. */
function specSchema(): Schema {
  const crd = parse(readFileSync(CRD, 'utf8')) as {
    spec: { versions: [{ schema: { openAPIV3Schema: { properties: { spec: Schema } } } }] };
  };
  return crd.spec.versions[0].schema.openAPIV3Schema.properties.spec;
}

export function trafficPolicyFields(): string[][] {
  const rows = [...fields(specSchema(), '')].map(([path, schema]) => {
    const isLater = NOT_IN_FORCE.some(
      (later) => path === later || path.startsWith(`${later}.`) || path.startsWith(`${later}[`),
    );
    return [`\`${path}\``, kindOf(schema), isLater ? 'not yet' : 'yes', schema.description ?? ''];
  });
  return [['field of `spec`', 'value', 'in force', 'meaning'], ...rows];
}
