/**
 * Broken manifests, all at once beside a good file: each is told about in the words of the `.problems.txt` beside it, and the good stay in force.
 * A broken manifest without such a file is in good form by itself: what it refers to is missing, which is the compiler's to tell.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { systemClock } from '#base/clock.ts';
import { silentLogger } from '#base/log.ts';
import { formatProblem } from '#base/problems.ts';
import { FolderSource } from '../../../control-plane/sources/folder.ts';
import { idOf } from '../../../control-plane/sources/manifest-file.ts';
import type { SourceProblem } from '../../../control-plane/sources/source.ts';
import type { ObjectEvent } from '../../../control-plane/sources/world.ts';

const HERE = import.meta.dirname;
const BROKEN = join(HERE, 'broken');

function expectedLines(): Record<string, readonly string[]> {
  const texts = readdirSync(BROKEN).filter((name) => name.endsWith('.problems.txt'));
  const linesOf = (name: string): readonly string[] => readFileSync(join(BROKEN, name), 'utf8').trimEnd().split('\n');
  return Object.fromEntries(texts.map((name) => [name.replace('.problems.txt', '.yaml'), linesOf(name)]));
}

t.test('broken manifests are told about, and the others stay in force', async (t) => {
  const large = join(t.testdir(), 'large.yaml');
  writeFileSync(large, `apiVersion: v1\nkind: Namespace\nmetadata:\n  name: large\n# ${'x'.repeat(5 * 1024 * 1024)}\n`);
  const source = new FolderSource({
    roots: [join(HERE, 'good.yaml'), BROKEN, large],
    clock: systemClock,
    log: silentLogger,
  });
  const batches: (readonly ObjectEvent[])[] = [];
  const reports: (readonly SourceProblem[])[] = [];
  await source.start(
    (events) => batches.push(events),
    ({ list }) => reports.push(list),
  );
  await source.close();

  const told: Record<string, string[]> = {};
  for (const problem of reports[0] ?? []) {
    const file = problem.place?.file.replace(`${BROKEN}/`, '') ?? '';
    const line = formatProblem(problem).replaceAll(`${BROKEN}/`, '').replaceAll(`${HERE}/`, '');
    (told[file] ??= []).push(line);
  }
  const { [large]: aboutLarge, ...aboutOthers } = told;
  t.same(aboutLarge, [`${large}:1:1: is larger than 4 MiB (split it into several files)`]);
  t.same(aboutOthers, expectedLines());
  t.ok(readdirSync(BROKEN).filter((name) => name.endsWith('.yaml')).length >= 30);
  t.same(
    batches.map((events) => events.map((event) => (event.type === 'set' ? idOf(event.object) : event.key))),
    [
      [
        'Namespace shop',
        'Service shop/reviews',
        'HTTPRoute shop/reviews',
        'TrafficPolicy shop/reviews',
        'HTTPRoute shop/dangling-backend',
        'TrafficPolicy shop/dangling-target',
        'Namespace fine',
      ],
    ],
  );
});
