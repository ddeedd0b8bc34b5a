/** The folder source on real folders with real events of the file system: every test waits for what it is told, none for time. */
import { mkdirSync, renameSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { type Clock, systemClock } from '#base/clock.ts';
import { FakeClock } from '#base/fake-clock.ts';
import { silentLogger } from '#base/log.ts';
import { formatProblem } from '#base/problems.ts';
import { FolderSource } from '../../control-plane/sources/folder.ts';
import { WorldStore } from '../../control-plane/sources/world-store.ts';

const PATIENCE_MS = 10_000;

const service = (name: string, port: number | string): string =>
  `apiVersion: v1\nkind: Service\nmetadata: { name: ${name}, namespace: shop }\nspec:\n  ports: [{ port: ${port} }]\n---\n`;

/** What is said of the Service `a` in one file beside that of another. */
const second = (file: string, first: string): string =>
  `${file}:3:13: metadata.name: Service shop/a is already defined in ${first}:1, which counts (remove or rename one of them)`;

/** A source on a folder, the World that it makes, and a way to wait for both. */
class Bench {
  readonly folder: string;
  readonly #source: FolderSource;
  readonly #store = new WorldStore();
  #problems: readonly string[] = [];
  #onReport: () => void = () => undefined;
  batches = 0;

  constructor(folder: string, roots: readonly string[] = [folder], clock: Clock = systemClock) {
    this.folder = folder;
    this.#source = new FolderSource({ roots, clock, log: silentLogger });
  }

  async start(): Promise<void> {
    await this.#source.start(
      (events) => {
        this.#store.apply(events);
        this.batches++;
        this.#onReport();
      },
      ({ list }) => {
        this.#problems = list.map((problem) => formatProblem(problem).replaceAll(`${this.folder}/`, ''));
        this.#onReport();
      },
    );
  }

  close(): Promise<void> {
    return this.#source.close();
  }

  /** A look right now, for what must be shown not to change. */
  refresh(): Promise<void> {
    return this.#source.refresh();
  }

  write(name: string, text: string): void {
    writeFileSync(join(this.folder, name), text);
  }

  /** `name:port` of each Service, then the problems. */
  get state(): readonly string[] {
    const services = [...this.#store.world.services.values()].map(
      (s) => `${s.meta.name}:${s.spec.ports[0]?.port ?? 0}`,
    );
    return [...services.sort(), ...this.#problems];
  }

  /** Resolves with the state as soon as it is the wanted one, or as it is when patience ends. */
  until(wanted: readonly string[]): Promise<readonly string[]> {
    const { promise, resolve } = Promise.withResolvers<readonly string[]>();
    const end = setTimeout(() => resolve(this.state), PATIENCE_MS);
    this.#onReport = () => {
      if (JSON.stringify(this.state) !== JSON.stringify(wanted)) return;
      clearTimeout(end);
      resolve(wanted);
    };
    this.#onReport();
    return promise;
  }
}

async function opened(t: Test, files: Record<string, string>): Promise<Bench> {
  const bench = new Bench(t.testdir(files));
  await bench.start();
  t.teardown(() => bench.close());
  return bench;
}

t.test('everything is read once before start resolves, in order of path', async (t) => {
  const bench = await opened(t, {
    'b.yaml': service('b', 2),
    'a.yml': service('a', 1) + service('both', 1),
    'c.json':
      '{"apiVersion":"v1","kind":"List","items":[{"apiVersion":"v1","kind":"Service","metadata":{"name":"c"},"spec":{"ports":[{"port":3}]}}]}',
    'd.txt': service('d', 4),
    '.hidden.yaml': service('e', 5),
    'z.yaml': service('both', 9),
  });
  mkdirSync(join(bench.folder, 'node_modules'));
  bench.write('node_modules/f.yaml', service('f', 6));
  await bench.refresh();
  t.same(bench.state, [
    'a:1',
    'b:2',
    'both:1',
    'c:3',
    'z.yaml:3:13: metadata.name: Service shop/both is already defined in ' +
      `${bench.folder}/a.yml:7, which counts (remove or rename one of them)`.replace(`${bench.folder}/`, ''),
  ]);
  t.equal(bench.batches, 1, 'one batch for all');
});

t.test('an edit, a new file, a rename and a deletion are noticed', async (t) => {
  const bench = await opened(t, { 'a.yaml': service('a', 1) });
  const steps: readonly (readonly [() => void, readonly string[]])[] = [
    [() => bench.write('a.yaml', service('a', 2)), ['a:2']],
    [() => bench.write('b.yaml', service('b', 1)), ['a:2', 'b:1']],
    [() => renameSync(join(bench.folder, 'b.yaml'), join(bench.folder, 'c.yaml')), ['a:2', 'b:1']],
    [() => bench.write('c.yaml', service('b', 3)), ['a:2', 'b:3']],
    [() => unlinkSync(join(bench.folder, 'a.yaml')), ['b:3']],
    [() => mkdirSync(join(bench.folder, 'x/y'), { recursive: true }), ['b:3']],
    [() => bench.write('x/y/d.yaml', service('d', 4)), ['b:3', 'd:4']],
    [() => bench.write('x/y/d.yaml', service('d', 5)), ['b:3', 'd:5']],
    [() => rmSync(join(bench.folder, 'x'), { recursive: true }), ['b:3']],
  ];
  for (const [step, wanted] of steps) {
    step();
    t.same(await bench.until(wanted), wanted);
  }
});

t.test('a second definition changes nothing until the first is gone, wherever in the order it lies', async (t) => {
  const bench = await opened(t, { 'm.yaml': service('a', 1) });
  const steps: readonly (readonly [() => void, readonly string[]])[] = [
    [() => bench.write('a.yaml', service('a', 2)), ['a:1', second('a.yaml', 'm.yaml')]],
    [() => bench.write('m.yaml', service('a', 3)), ['a:3', second('a.yaml', 'm.yaml')]],
    [() => unlinkSync(join(bench.folder, 'm.yaml')), ['a:2']],
    [() => bench.write('m.yaml', service('a', 4)), ['a:2', second('m.yaml', 'a.yaml')]],
  ];
  for (const [step, wanted] of steps) {
    step();
    t.same(await bench.until(wanted), wanted);
  }
});

t.test('what is broken keeps its last good form, the rest goes on', async (t) => {
  const bench = await opened(t, { 'a.yaml': service('a', 1) + service('b', 1), 'c.yaml': service('c', 1) });
  const steps: readonly (readonly [string, string, readonly string[]])[] = [
    [
      'a.yaml',
      service('a', 0) + service('b', 2),
      ['a:1', 'b:2', 'c:1', 'a.yaml:5:13: spec.ports[0].port: is 0, must be 1 to 65535'],
    ],
    [
      'a.yaml',
      'kind: [',
      [
        'a:1',
        'b:2',
        'c:1',
        'a.yaml:1:8: is not YAML: flow sequence in block collection must be sufficiently indented and end with a ]',
      ],
    ],
    [
      'a.yaml',
      service('a', 3) + service('new', 0),
      ['a:3', 'c:1', 'a.yaml:11:13: spec.ports[0].port: is 0, must be 1 to 65535'],
    ],
    ['a.yaml', service('a', 3), ['a:3', 'c:1']],
    [
      'a.yaml',
      'x'.repeat(4 * 1024 * 1024 + 1),
      ['a:3', 'c:1', 'a.yaml:1:1: is larger than 4 MiB (split it into several files)'],
    ],
    ['a.yaml', service('a', 4), ['a:4', 'c:1']],
  ];
  for (const [file, text, wanted] of steps) {
    bench.write(file, text);
    t.same(await bench.until(wanted), wanted);
  }
});

t.test('a file that is empty for a moment loses nothing, one that stays empty does', async (t) => {
  const clock = new FakeClock(0, Date.now());
  const folder = t.testdir({ 'a.yaml': service('a', 1), 'b.yaml': service('b', 1) });
  const bench = new Bench(folder, [folder], clock);
  await bench.start();
  t.teardown(() => bench.close());
  bench.write('a.yaml', '');
  await bench.refresh();
  clock.advance(999);
  await bench.refresh();
  t.same(bench.state, ['a:1', 'b:1']);
  bench.write('a.yaml', service('a', 2));
  await bench.refresh();
  t.same(bench.state, ['a:2', 'b:1']);
  bench.write('a.yaml', '');
  await bench.refresh();
  t.same(bench.state, ['a:2', 'b:1'], 'it has a time of grace again');
  clock.advance(1000);
  t.same(await bench.until(['b:1']), ['b:1']);
});

t.test('of two definitions the next takes over when the first is removed', async (t) => {
  const bench = await opened(t, { 'a.yaml': service('a', 1), 'b.yaml': service('a', 2) });
  t.match(bench.state, ['a:1', /^b\.yaml:3:13: metadata\.name: Service shop\/a is already defined/]);
  unlinkSync(join(bench.folder, 'a.yaml'));
  t.same(await bench.until(['a:2']), ['a:2']);
});

t.test('a mounted ConfigMap is followed when its link is swapped', async (t) => {
  const bench = new Bench(
    t.testdir({ mount: { '..v1': { 'a.yaml': service('a', 1) }, '..v2': { 'a.yaml': service('a', 2) } } }),
  );
  const mount = join(bench.folder, 'mount');
  symlinkSync('..v1', join(mount, '..data'));
  symlinkSync('..data/a.yaml', join(mount, 'a.yaml'));
  symlinkSync('.', join(mount, 'loop'));
  await bench.start();
  t.teardown(() => bench.close());
  t.same(bench.state, ['a:1']);
  symlinkSync('..v2', join(mount, '..data_tmp'));
  renameSync(join(mount, '..data_tmp'), join(mount, '..data'));
  t.same(await bench.until(['a:2']), ['a:2']);
});

t.test('a folder that does not exist is a problem until it does', async (t) => {
  const folder = t.testdir();
  const clock = new FakeClock();
  const bench = new Bench(folder, [join(folder, 'later')], clock);
  await bench.start();
  t.teardown(() => bench.close());
  t.same(bench.state, ['later:1:1: does not exist (it is looked for again and again)']);
  mkdirSync(join(folder, 'later'));
  bench.write('later/a.yaml', service('a', 1));
  clock.advance(3000);
  t.same(await bench.until(['a:1']), ['a:1'], 'the periodic look finds it');
});

t.test('a look at unchanged files tells nothing, and nothing is told after close', async (t) => {
  const bench = await opened(t, { 'a.yaml': service('a', 1) });
  await bench.refresh();
  bench.write('a.yaml', service('a', 1));
  await bench.refresh();
  t.equal(bench.batches, 1);
  await bench.close();
  bench.write('a.yaml', service('a', 2));
  await bench.refresh();
  t.equal(bench.batches, 1);
});

t.test('a look that fails is told, and the next one is another chance', async (t) => {
  const folder = t.testdir({ 'a.yaml': service('a', 80) });
  const clock = new FakeClock();
  const told = Promise.withResolvers<string>();
  const log = { ...silentLogger, error: told.resolve };
  const source = new FolderSource({ roots: [folder], clock, log });
  t.teardown(() => source.close());
  const seen: string[] = [];
  let defects = 0;
  await source.start(
    (events) => {
      if (defects-- > 0) throw new Error('a defect');
      for (const event of events) seen.push(event.type === 'set' ? event.object.meta.name : event.key);
    },
    () => undefined,
  );
  defects = 1;
  writeFileSync(join(folder, 'b.yaml'), service('b', 80));
  clock.advance(3000);
  t.equal(await told.promise, 'the folders could not be read');
  writeFileSync(join(folder, 'c.yaml'), service('c', 80));
  await source.refresh();
  t.same(seen, ['a', 'b', 'c']);
});
