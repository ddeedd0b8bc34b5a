/** One form of a path: the tables of Istio and Envoy, and properties that hold for any path. */
import { readFileSync } from 'node:fs';
import t from 'tap';
import { randomInt, seededRandom } from '#base/random.ts';
import { isPlainPath, normalizePath, type NormalizationLevel } from '../../../proxy/routing/normalize.ts';

function corpus(name: string): unknown {
  return JSON.parse(readFileSync(new URL(`../../corpora/path-normalization/${name}`, import.meta.url), 'utf8'));
}

interface IstioCorpus {
  readonly groups: readonly {
    readonly mode: string;
    readonly cases: readonly { readonly in: string; readonly out: string }[];
  }[];
}

interface EnvoyCorpus {
  readonly reject: readonly string[];
  readonly canonical_rfc3986: readonly (readonly [string, string])[];
  readonly merge_slashes: readonly (readonly [string, string])[];
}

function rooted(pairs: readonly (readonly [string, string])[]): (readonly [string, string])[] {
  return pairs.filter(([path]) => path.startsWith('/'));
}

const LEVELS: readonly NormalizationLevel[] = ['none', 'base', 'merge-slashes', 'decode-and-merge-slashes'];

t.test('every vector of Istio gives the path that Istio expects, or is refused', async (t) => {
  const { groups } = corpus('istio-path-normalization.json') as IstioCorpus;
  const wrong: unknown[] = [];
  let seen = 0;
  for (const { mode, cases } of groups) {
    const level = LEVELS.find((level) => level.replaceAll('-', '_').toUpperCase() === mode);
    for (const { in: path, out } of cases) {
      seen++;
      const got = normalizePath(path, level);
      if (got !== (out === '400' ? null : out)) wrong.push({ mode, path, out, got });
    }
  }
  t.same({ seen, wrong }, { seen: 345, wrong: [] });
});

t.test('every vector of Envoy that begins with a slash gives what Envoy expects', async (t) => {
  const { reject, canonical_rfc3986, merge_slashes } = corpus('envoy-path-normalization.json') as EnvoyCorpus;
  const base = rooted(canonical_rfc3986);
  const merged = rooted(merge_slashes);
  t.same({ base: base.length, merged: merged.length }, { base: 16, merged: 10 });
  t.same(
    base.map(([path]) => [path, normalizePath(path)]),
    base,
  );
  t.same(
    merged.map(([path]) => [path, normalizePath(path, 'merge-slashes')]),
    merged,
  );
  t.same(
    reject.map((path) => normalizePath(path)),
    reject.map(() => null),
  );
});

t.test('what is no path from a root is refused, the query is left alone', async (t) => {
  t.same(
    ['', 'a/b', '..', 'http://h/', '*', '/\u00e9', '/\u0100', '/a"b<', '/a/../b?x=/../%41#f', '/%', '/%4'].map((path) =>
      normalizePath(path),
    ),
    [null, null, null, null, '*', '/%E9', null, '/a%22b%3C', '/b?x=/../%41', '/%', '/%4'],
  );
});

t.test('a second time changes nothing, no dot segment is left, and plain paths are their own form', async (t) => {
  const random = seededRandom(11);
  const pieces = [
    '/',
    '/',
    '.',
    '..',
    '%',
    '%2e',
    '%2F',
    '%5c',
    '%41',
    '%25',
    '4',
    '2',
    'e',
    '\\',
    'a',
    '{',
    '%00',
    '?',
    '#',
    ';',
  ];
  const wrong: unknown[] = [];
  let plain = 0;
  for (let i = 0; i < 30_000; i++) {
    const path = `/${Array.from({ length: randomInt(random, 9) }, () => pieces[randomInt(random, pieces.length)]!).join('')}`;
    for (const level of LEVELS) {
      const once = normalizePath(path, level);
      if (isPlainPath(path)) plain++;
      const isSame = once === null || normalizePath(once, level) === once;
      const isLeft = once !== null && level !== 'none' && /\/(?:\.|%2e){1,2}(?:\/|$)/i.test(once.split('?')[0]!);
      if (!isSame || isLeft || (isPlainPath(path) && once !== path)) wrong.push({ path, level, once });
    }
  }
  t.same(wrong.slice(0, 5), []);
  t.ok(plain > 1000);
});
