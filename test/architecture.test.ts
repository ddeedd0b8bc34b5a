/**
 * Holds the tree to the rules in `test/architecture/rules.ts`, and shows on made-up files that each rule can fail.
 */
import { existsSync, globSync, readFileSync } from 'node:fs';
import { join, posix } from 'node:path';
import t from 'tap';
import { breaches, type Exceptions, MAX_FILE_LINES, MAX_FUNCTION_LINES } from './architecture/rules.ts';
import { readSources, type Source, toSource } from './architecture/source.ts';

const ROOT = join(import.meta.dirname, '..');
const TREES = ['base', 'api', 'proxy', 'control-plane', 'cli', 'bench', 'scripts', 'examples', 'test'];

const EXCEPTIONS: Exceptions = {};

t.test('the house keeps its rules', async (t) => {
  const sources = readSources(
    ROOT,
    TREES.map((tree) => `${tree}/**/*.ts`),
  );
  t.ok(sources.length > 100, `${sources.length} files read`);
  t.same(
    breaches(sources, EXCEPTIONS).map(({ rule, path, sentence }) => `${path} ${sentence} [${rule}]`),
    [],
  );
});

t.test('documents name only files that exist', async (t) => {
  const missing: string[] = [];
  for (const document of globSync(['*.md', 'docs/**/*.md', 'bench/*.md'], { cwd: ROOT })) {
    const text = readFileSync(join(ROOT, document), 'utf8');
    const paths = [
      ...text.matchAll(/`((?:base|api|proxy|control-plane|cli|crds|examples|docs|bench|test|scripts)\/[\w./-]*)`/g),
    ];
    const links = [...text.matchAll(/\]\((?!\w+:|#)([^)#\s]+)/g)];
    const named = [
      ...paths.map(([, path = '']) => path),
      ...links.map(([, path = '']) => posix.join(posix.dirname(document), path)),
    ];
    missing.push(...named.filter((path) => !existsSync(join(ROOT, path))).map((path) => `${document}: ${path}`));
  }
  t.same(missing, []);
});

const made = (path: string, body: string): Source => toSource(path, `/** Made up. */\n${body}\n`);

t.test('each rule fails on what it forbids', async (t) => {
  const sources = [
    made('base/up.ts', "import { x } from '#api/names.ts';\nx();"),
    made('proxy/routing/side.ts', "import type { Y } from '../filters/y.ts';\nexport type Z = Y;"),
    made('control-plane/serve/over.ts', "import { z } from '../../proxy/http/z.ts';\nz();"),
    made('base/a.ts', "import type { B } from './b.ts';\nexport type A = B;"),
    made('base/b.ts', "import type { A } from './a.ts';\nexport type B = A;"),
    made('cli/all.ts', "export * from '#base/a.ts';"),
    made(
      'proxy/filters/parse.ts',
      "import { parse } from 'yaml';\nimport { connect, isIP } from 'node:net';\nparse(connect, isIP);",
    ),
    made(
      'proxy/filters/pure.ts',
      "import { isIP } from 'node:net';\nimport type { Socket } from 'node:net';\nexport const f = (s: Socket): number => isIP(s.remoteAddress ?? '');",
    ),
    made(
      'proxy/filters/time.ts',
      'export const now = () => [new Date(), Date.now(), process.env.X, setTimeout(now, 1)];',
    ),
    made('proxy/filters/clock.ts', 'export const later = (c: Clock) => c.setTimeout(() => new Date(5), 1);'),
    made('base/long.ts', '//\n'.repeat(MAX_FILE_LINES)),
    made('base/tall.ts', `export function tall(): void {${'\n'.repeat(MAX_FUNCTION_LINES)}}`),
    made('base/string-utils.ts', 'export {};'),
    made('base/camelCase.ts', 'export {};'),
    toSource('base/bare.ts', 'export {};\n'),
    made('base/later.ts', '// TODO: the rest\n// a comment may say enum\nexport {};'),
    made('attic/old.ts', 'export {};'),
  ];
  t.same(
    breaches(sources, { header: { 'base/a.ts': 'made up' } }).map(({ rule, path }) => `${rule}: ${path}`),
    [
      'known folder: attic/old.ts',
      'imports go down: base/up.ts',
      'imports go down: proxy/routing/side.ts',
      'imports go down: control-plane/serve/over.ts',
      'no barrel: cli/all.ts',
      'packages at home: proxy/filters/parse.ts',
      'packages at home: proxy/filters/parse.ts',
      'globals at home: proxy/filters/time.ts',
      'globals at home: proxy/filters/time.ts',
      'globals at home: proxy/filters/time.ts',
      'file length: base/long.ts',
      'function length: base/tall.ts',
      'file names: base/string-utils.ts',
      'file names: base/camelCase.ts',
      'header: base/bare.ts',
      'no promises: base/later.ts',
      'header: base/a.ts',
      'no cycle: base/a.ts',
    ],
  );
});
