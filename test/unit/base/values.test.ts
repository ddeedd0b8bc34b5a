/** Values that are watched, closed, logged, matched, drawn, or wrong. */
import t from 'tap';
import { createLogger, silentLogger, type LogLevel } from '#base/log.ts';
import { formatProblem, formatProblems, Problems } from '#base/problems.ts';
import { randomInt, seededRandom } from '#base/random.ts';
import { linearRegex } from '#base/regex.ts';
import { Scope } from '#base/scope.ts';
import { Watched } from '#base/watched.ts';

/** Whether the whole text matches. */
function matches(source: string, text: string): boolean | 'refused' {
  const regex = linearRegex(source);
  return regex.ok ? regex.value.test(text) : 'refused';
}

function draw(seed: number): number[] {
  const random = seededRandom(seed);
  return Array.from({ length: 10_000 }, () => randomInt(random, 10));
}

t.test('watchers hear of changes only, and never of an older value after a newer', async (t) => {
  const watched = new Watched(1);
  const seen: string[] = [];
  const stop = watched.watch((value) => {
    seen.push(`a${value}`);
    if (value === 2) watched.set(3);
  });
  watched.watch((value) => void seen.push(`b${value}`));
  watched.set(1);
  watched.set(2);
  stop();
  stop();
  watched.set(4);
  t.same(seen, ['a2', 'a3', 'b3', 'b4']);
  t.equal(watched.value, 4);

  const sameLength = new Watched('ab', (a, b) => a.length === b.length);
  sameLength.set('cd');
  t.equal(sameLength.value, 'ab');
});

t.test('a scope closes in reverse order, once, and tells what failed', async (t) => {
  const scope = new Scope();
  const seen: string[] = [];
  scope.add(() => void seen.push('a'));
  scope.add(async () => {
    await Promise.resolve();
    seen.push('b');
    throw new Error('b failed');
  });
  scope.add(() => {
    seen.push('c');
    // oxlint-disable-next-line no-throw-literal -- a closer of others may throw anything
    throw 'c failed';
  });
  const [first, second] = [scope.close(), scope.close()];
  t.equal(first, second);
  scope.add(() => void seen.push('late'));
  t.same((await first).map(String), ['Error: c failed', 'Error: b failed']);
  t.same(seen, ['c', 'late', 'b', 'a']);
});

t.test('problems are kept up to a limit and read as one line each', async (t) => {
  const problems = new Problems(2);
  t.equal(problems.isEmpty, true);
  problems.add('spec.a', 'must be an integer', 'write 0 to 10', { file: 'x.yaml', line: 12, column: 5 });
  const others = new Problems();
  others.add('', 'is empty');
  others.add('b', 'is lost');
  problems.addAll(others.list);
  t.equal(problems.isEmpty, false);
  t.equal(formatProblems(problems), 'x.yaml:12:5: spec.a: must be an integer (write 0 to 10)\nis empty\nand 1 more');
  t.equal(formatProblem({ path: 'p', reason: 'r', advice: '' }), 'p: r');
});

t.test('log lines have level, time and fields, and cannot be forged', async (t) => {
  const lines: string[] = [];
  const write = (line: string): void => void lines.push(line);
  const options = (format: 'text' | 'json', level: LogLevel): Parameters<typeof createLogger>[0] => ({
    format,
    level,
    write,
    wall: () => Date.UTC(2026, 0, 1),
  });
  const text = createLogger(options('text', 'info')).with({ pod: 'web-1' });
  text.debug('not said');
  text.info('a\nb', { n: 1, none: undefined, list: ['x', 'y'], empty: '', evil: 'x\r\ny="\u001b[2J\u009b2J' });
  createLogger(options('json', 'error')).warn('not said');
  createLogger(options('json', 'debug')).error('a\nb', { evil: '\u009b\u007f\n' });
  silentLogger.with({}).error('not said');
  t.same(lines, [
    String.raw`2026-01-01T00:00:00.000Z INFO  a b pod=web-1 n=1 list=x,y empty="" evil="x\r\ny=\"\u001b[2J\u009b2J"` +
      '\n',
    String.raw`{"time":"2026-01-01T00:00:00.000Z","level":"error","message":"a\nb","evil":"\u009b\u007f\n"}` + '\n',
  ]);
});

t.test('regular expressions match whole strings, in linear time, and mean what they mean in RE2', async (t) => {
  t.same(
    [
      ['a|b', 'b'],
      ['a|b', 'ab'],
      ['/v\\d+/.*', '/v12/x'],
      ['a\\.b\\-c\\/\\\\A', 'a.b-c/\\A'],
      ['\\x41[\\w\\-]', 'A-'],
      ['a)|(b', 'b'],
      ['(a', 'a'],
      ['(a)\\1', 'aa'],
      ['a(?=b)', 'a'],
      ['\\Aa\\z', 'a'],
      ['\\pL', 'x'],
      ['[[:alpha:]]', 'x'],
      ['\\Qa.b\\E', 'a.b'],
      ['a'.repeat(1025), 'a'],
    ].map(([source = '', text = '']) => matches(source, text)),
    [true, false, true, true, true, ...Array.from({ length: 9 }, () => 'refused')],
  );
  const slow = linearRegex('(a|a)*b');
  t.equal(slow.ok && slow.value.test('a'.repeat(50_000)), false, 'would take for ever with backtracking');
});

t.test('the same seed gives the same numbers, evenly', async (t) => {
  const numbers = draw(1);
  t.equal(numbers.join(''), draw(1).join(''));
  t.notSame(numbers.slice(0, 20), draw(2).slice(0, 20));
  const counts = Array.from({ length: 10 }, (_, n) => numbers.filter((drawn) => drawn === n).length);
  t.ok(
    counts.every((count) => count > 900 && count < 1100),
    counts.join(' '),
  );
});
