/**
 * `npm test [-- WORD...]`: all tests, or those whose file name holds one of the words. Ends with the line `N passed, N failed`.
 * Knows how tap is run and how its output is counted; nothing of what is tested.
 */
import { spawnSync } from 'node:child_process';
import { globSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { delimiter, join } from 'node:path';

interface Totals {
  passed: number;
  failed: number;
  skipped: number;
}

const root = join(import.meta.dirname, '..');
const bin = join(root, 'node_modules', '.bin');
const output = join(root, '.tap', 'out.tap');

/** Cheap rings first, so that a broken parser is told before a broken mesh. */
const RINGS = ['architecture', 'unit', 'wire', 'golden', 'conformance', 'docs', 'stack', 'interop', 'e2e'];

function rank(file: string): number {
  const ring = RINGS.findIndex((name) => file.startsWith(`test/${name}`));
  return ring === -1 ? RINGS.length : ring;
}

function testFiles(words: readonly string[]): string[] {
  return globSync('test/**/*.test.ts', { cwd: root })
    .map((file) => file.replaceAll('\\', '/'))
    .filter((file) => words.length === 0 || words.some((word) => file.includes(word)))
    .toSorted((a, b) => rank(a) - rank(b) || (a < b ? -1 : 1));
}

/** tap's own sum stands in its last line, `# { total: 20, pass: 19, fail: 1 }`; kinds without any are left out. */
function readTotals(tap: string): Totals | null {
  const sum = [...tap.matchAll(/^# \{ (.*) \}$/gm)].at(-1)?.[1];
  if (sum === undefined) return null;
  const count = (kind: string): number => Number(new RegExp(`\\b${kind}: (\\d+)`).exec(sum)?.[1] ?? 0);
  return { passed: count('pass'), failed: count('fail'), skipped: count('skip') + count('todo') };
}

/** What did not run, with its file and the reason that the test gives. */
function readSkips(tap: string): string[] {
  const skips: string[] = [];
  let file = '';
  for (const line of tap.split('\n')) {
    file = /^# Subtest: (.*)$/.exec(line)?.[1] ?? file;
    const skip = /^\s*ok \d+ - (.*?) # (?:SKIP|TODO)\b ?(.*)$/i.exec(line);
    if (skip !== null) skips.push(`skipped: ${file}: ${skip[1]}${skip[2] === '' ? '' : ` (${skip[2]})`}`);
  }
  return skips;
}

const MAX_DIFF_LINES = 12;

/** What failed, again and in short: the log of a run may be kept from its end only. A `not ok` with a time is the sum of a file or of a subtest. */
function readFailures(tap: string): string[] {
  const failures: string[] = [];
  const subtests: string[] = [];
  const lines = tap.split('\n');
  for (const [at, line] of lines.entries()) {
    const opened = /^( *)# Subtest: (.*)$/.exec(line);
    if (opened !== null) subtests.splice((opened[1] ?? '').length / 4, Infinity, opened[2] ?? '');
    const failed = /^( *)not ok \d+ - (.*)$/.exec(line);
    if (failed === null || / # time=[\d.]+m?s/.test(line)) continue;
    const depth = (failed[1] ?? '').length / 4;
    failures.push(`failed: ${[...subtests.slice(0, depth), failed[2]].join(' > ')}`, ...readDiff(lines, at + 1));
  }
  return failures;
}

/** The compared values below a `not ok`. */
function readDiff(lines: readonly string[], from: number): readonly string[] {
  const end = lines.findIndex((line, at) => at >= from && line.trim() === '...');
  const start = lines.findIndex((line, at) => at >= from && line.trim() === 'diff: |');
  if (start < 0 || start > end) return [];
  const rest = lines.slice(start + 3, end);
  const next = rest.findIndex((line) => /^ *[a-z]+:/i.test(line) && !/^ *[-+]/.test(line));
  return rest.slice(0, Math.min(next < 0 ? rest.length : next, MAX_DIFF_LINES)).map((line) => `  ${line.trim()}`);
}

/** One line a file with its time, so that a slow one is seen. */
function readFiles(tap: string): string[] {
  return [...tap.matchAll(/^(ok|not ok) \d+ - (\S+\.test\.ts)(?: # (?:SKIP.*)?(?:time=([\d.]+)ms)?)?/gm)].map(
    ([, verdict, file, ms]) =>
      `${verdict === 'ok' ? 'ok    ' : 'FAILED'} ${file}${ms === undefined ? '' : ` ${Math.round(Number(ms))} ms`}`,
  );
}

function main(words: readonly string[]): number {
  const files = testFiles(words);
  if (files.length === 0) {
    console.error(`no test file under test/ has ${words.join(' or ')} in its name`);
    return 1;
  }
  mkdirSync(join(root, '.tap'), { recursive: true });
  rmSync(output, { force: true });
  const run = spawnSync(
    join(bin, 'tap'),
    ['run', '--disable-coverage', '--reporter=min', `--output-file=${output}`, ...files],
    { cwd: root, stdio: 'inherit', env: { ...process.env, PATH: `${bin}${delimiter}${process.env['PATH'] ?? ''}` } },
  );
  if (run.error !== undefined) throw run.error;
  const tap = readFileSync(output, { encoding: 'utf8', flag: 'a+' });
  const totals = readTotals(tap) ?? { passed: 0, failed: 1, skipped: 0 };
  for (const line of [...readFiles(tap), ...readSkips(tap), ...readFailures(tap)]) console.log(line);
  console.log(
    `${totals.passed} passed, ${totals.failed} failed${totals.skipped > 0 ? `, ${totals.skipped} skipped` : ''}`,
  );
  // A test that fails only by its exit status must fail the run too.
  return run.status ?? 1;
}

process.exitCode = main(process.argv.slice(2));
