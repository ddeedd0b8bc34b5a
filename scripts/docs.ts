/**
 * `npm run docs`: fills the tables in `docs` from what the code says about itself: flags, metrics, failures, fields of a TrafficPolicy.
 * A table stands between `<!-- table: NAME -->` and `<!-- end -->`; `test/docs.test.ts` fails when one is not what would be written here.
 */
import { globSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { definitionFields } from './docs/definition.ts';
import { failureTable } from './docs/failures.ts';
import { captureFlags, controlPlaneFlags, sidecarFlags } from './docs/flags.ts';
import { controlPlaneMetrics, sidecarMetrics } from './docs/metrics.ts';
import { trafficPolicyFields } from './docs/traffic-policy.ts';

const ROOT = join(import.meta.dirname, '..');

type Rows = readonly (readonly string[])[];

/** Every table there is; the first row is its head. */
const TABLES: Readonly<Record<string, () => Rows | Promise<Rows>>> = {
  'sidecar flags': sidecarFlags,
  'capture flags': captureFlags,
  'control plane flags': controlPlaneFlags,
  'sidecar metrics': sidecarMetrics,
  'control plane metrics': controlPlaneMetrics,
  failures: failureTable,
  'TrafficPolicy fields': trafficPolicyFields,
  'ExternalService fields': () => definitionFields('externalservices.yaml'),
  'MeshPolicy fields': () => definitionFields('meshpolicies.yaml'),
};

function line(cells: readonly string[]): string {
  return `| ${cells.map((cell) => cell.replaceAll('|', String.raw`\|`)).join(' | ')} |`;
}

function markdown(rows: Rows): string {
  const [head = [], ...body] = rows;
  return [line(head), `|${' --- |'.repeat(head.length)}`, ...body.map(line)].join('\n');
}

export const documents = (): string[] => globSync('docs/**/*.md', { cwd: ROOT }).toSorted();
export const tableNames = (): string[] => Object.keys(TABLES);

/** The text with its tables as they should be. */
export async function fill(text: string): Promise<string> {
  const filled: Record<string, string> = {};
  for (const [, name = ''] of text.matchAll(/<!-- table: (.+?) -->/g)) {
    const rows = TABLES[name];
    if (rows === undefined) throw new Error(`there is no table '${name}'; there is ${tableNames().join(', ')}`);
    filled[name] = markdown(await rows());
  }
  return text.replaceAll(
    /(<!-- table: (.+?) -->\n)[\s\S]*?(<!-- end -->)/g,
    (_, start: string, name: string, end: string) => `${start}\n${filled[name] ?? ''}\n\n${end}`,
  );
}

if (import.meta.main) {
  for (const document of documents()) {
    const path = join(ROOT, document);
    const text = readFileSync(path, 'utf8');
    const wanted = await fill(text);
    if (wanted !== text) {
      writeFileSync(path, wanted);
      console.log(`${document}: tables renewed`);
    }
  }
}
