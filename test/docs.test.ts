/**
 * Holds the documents to the code: tables of flags, metrics, failures and fields, and annotations.
 */
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { documents, fill, tableNames } from '../scripts/docs.ts';

const ROOT = join(import.meta.dirname, '..');
const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8');

const annotations = (text: string): string[] =>
  [...text.matchAll(/tulle\.dev\/(?!v\d)[a-z][a-z-]*/g)].map(([name]) => name);

t.test('tables in docs are what the code says (npm run docs renews them)', async (t) => {
  const texts = documents().map((path) => [path, read(path)] as const);
  const stale: string[] = [];
  for (const [path, text] of texts) if ((await fill(text)) !== text) stale.push(path);
  t.same(stale, []);
  const all = texts.map(([, text]) => text).join('\n');
  t.same(
    tableNames().filter((name) => !all.includes(`<!-- table: ${name} -->\n\n|`)),
    [],
    'each table stands in a document',
  );
});

t.test('tables are not empty', async (t) => {
  const flags = read('docs/flags.md');
  const wanted = ['--control-plane HOST:PORT', '--state-dir DIR', '--exclude-outbound-ports PORT,...'];
  t.same(
    wanted.filter((flag) => !flags.includes(`\`${flag}\``)),
    [],
  );
});

t.test('every metric that the sources name is documented', async (t) => {
  const documented = read('docs/metrics.md');
  const missing = globSync(['proxy/**/*.ts', 'control-plane/**/*.ts'], { cwd: ROOT }).flatMap((path) =>
    [...read(path).matchAll(/'(tulle_[a-z_]*[a-z])'/g)]
      .map(([, name = '']) => name)
      .filter((name) => !documented.includes(`\`${name}\``)),
  );
  t.same(missing, []);
});

t.test('every annotation that the sources read is documented, and no other', async (t) => {
  const inSources = globSync(['proxy/**/*.ts', 'control-plane/**/*.ts', 'cli/**/*.ts'], { cwd: ROOT }).flatMap((path) =>
    annotations(read(path)),
  );
  t.same([...new Set(annotations(read('docs/annotations.md')))].toSorted(), [...new Set(inSources)].toSorted());
});
