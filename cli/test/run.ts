/** Plays the tests of a file, each on a stage of its own, and says what came of them. Knows no terminal. */
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { systemClock } from '#base/clock.ts';
import { Problems, formatProblem, type Place } from '#base/problems.ts';
import { compile } from '../../control-plane/compile/compile.ts';
import { DEFAULT_COMPILE_OPTIONS } from '../../control-plane/compile/compiled.ts';
import { WorldStore } from '../../control-plane/sources/world-store.ts';
import { readYaml, type WrittenObject } from '../../control-plane/sources/yaml-documents.ts';
import { LoadCache } from '../explain/loader.ts';
import { problemLines } from '../run/manifests.ts';
import { readManifests } from '../world.ts';
import { Endpoints } from './endpoints.ts';
import { readTestFile, stepsOf, type Step, type TestFile, type TrafficTest } from './format.ts';
import { judge, triesOf } from './judge.ts';
import { Stage, type Played } from './stage.ts';

export interface TestResult {
  readonly name: string;
  readonly file: string;
  readonly line: number;
  /** Empty: it passed. Each with the place of what was expected. */
  readonly failures: readonly string[];
  /** Real time. */
  readonly tookMs: number;
}

export interface FileResult {
  readonly file: string;
  /** Why it could not be run; then there are no results. */
  readonly problems: readonly string[];
  readonly results: readonly TestResult[];
}

export async function runTestFile(file: string): Promise<FileResult> {
  const refused = (problems: readonly string[]): FileResult => ({ file, problems, results: [] });
  if (!existsSync(file)) return refused([`${file} does not exist`]);
  const problems = new Problems();
  const written = readYaml(file, readFileSync(file, 'utf8'), problems) ?? [];
  const [document, ...more] = written;
  if (!problems.isEmpty) return refused(problems.list.map(formatProblem));
  if (document === undefined || more.length > 0) return refused([`${file} must hold one document with tests`]);
  const read = readTestFile(document.value, problems);
  if (read === null) {
    return refused(
      problems.list.map((problem) =>
        formatProblem({ ...problem, place: document.placeOf(problem.path) ?? document.place }),
      ),
    );
  }
  const roots = read.manifests.map((name) => path.resolve(path.dirname(file), name));
  const missing = roots.filter((name) => !existsSync(name));
  if (missing.length > 0) return refused(missing.map((name) => `${file}: manifests: ${name} does not exist`));
  const manifests = await readManifests(roots);
  if (manifests.problems.list.length > 0) return refused(problemLines(manifests.problems));
  const store = new WorldStore();
  store.apply(manifests.events);
  const { mesh } = compile(store.world, { ...DEFAULT_COMPILE_OPTIONS, clusterDomain: read.domain });
  const endpoints = new Endpoints(mesh);
  const unknown = unknownEndpoints(read, endpoints, document);
  if (unknown.length > 0) return refused(unknown);
  const run = { file: read, endpoints, cache: new LoadCache(), document };
  return { file, problems: [], results: read.tests.map((test, i) => runTest(test, i, run)) };
}

interface Run {
  readonly file: TestFile;
  readonly endpoints: Endpoints;
  readonly cache: LoadCache;
  readonly document: WrittenObject;
}

/** Those of a name that nobody has would silently say nothing. */
function unknownEndpoints(
  file: TestFile,
  known: Endpoints,
  { placeOf: find, place }: WrittenObject,
): readonly string[] {
  const [namespace = ''] = file.from.split('/');
  const lists = [{ at: 'endpoints', said: file.endpoints }].concat(
    file.tests.map(({ endpoints }, i) => ({ at: `tests[${i}].endpoints`, said: endpoints })),
  );
  return lists.flatMap(({ at, said }) =>
    Object.keys(said).flatMap((key) => {
      const reason = known.problemOf(key, namespace);
      const path = `${at}[${key}]`;
      return reason === '' ? [] : [formatProblem({ path, reason, advice: '', place: find(path) ?? place })];
    }),
  );
}

function runTest(test: TrafficTest, index: number, run: Run): TestResult {
  const startMs = systemClock.now();
  const { document } = run;
  const stages = new Stages(run, test);
  const failures: { readonly line: number; readonly text: string }[] = [];
  const at = `tests[${index}]`;
  for (const [i, step] of stepsOf(test).entries()) {
    const where = test.steps === null ? at : `${at}.steps[${i}]`;
    for (const { path: below, sentence } of playStep(step, stages)) {
      const place = placeOf(document, `${where}.${below}`);
      const what = below.replace(/^expect\./, '');
      failures.push({ line: place.line, text: `${place.file}:${place.line}: ${what} ${sentence}` });
    }
  }
  const { file: name, line } = placeOf(document, `${at}.name`);
  const texts = failures.toSorted((a, b) => a.line - b.line).map(({ text }) => text);
  return { name: test.name, file: name, line, failures: texts, tookMs: systemClock.now() - startMs };
}

function playStep(step: Step, stages: Stages): readonly { readonly path: string; readonly sentence: string }[] {
  const { wait, request, times, answers, expect } = step;
  const stage = stages.of(request?.from ?? '');
  stage.clock.advance(wait);
  if (request === null) return [];
  const all: Played[] = [];
  for (let i = 0; i < times; i++) {
    const played = stage.play(request, answers);
    if (typeof played === 'string') return [{ path: 'request', sentence: played }];
    all.push(played);
  }
  const found = expect === null ? [] : judge(expect, all, stage);
  const last = all.at(-1);
  if (found.length === 0 || last === undefined || times > 1) return found;
  return found.map(({ path: below, sentence }) => ({ path: below, sentence: `${sentence} (${story(last, stage)})` }));
}

/** What happened, for who reads of a failure. */
function story(played: Played, stage: Stage): string {
  const tries = triesOf(played, stage).map(({ endpoint, outcome }) => `${endpoint} ${outcome}`);
  const route = played.exchange.routeName === '' ? 'no route' : `route ${played.exchange.routeName}`;
  return `${route}; ${tries.length === 0 ? 'no try' : `tries: ${tries.join(', ')}`}; answered ${played.client.status}`;
}

/** Who asks from elsewhere has a sidecar of its own. */
class Stages {
  readonly #run: Run;
  readonly #test: TrafficTest;
  readonly #stages = new Map<string, Stage>();

  constructor(run: Run, test: TrafficTest) {
    this.#run = run;
    this.#test = test;
  }

  of(asked: string): Stage {
    const { file, endpoints, cache } = this.#run;
    const { from: usual, zone } = file;
    const from = asked === '' ? usual : asked;
    const known = this.#stages.get(from);
    if (known !== undefined) return known;
    const [namespace = ''] = usual.split('/');
    const mesh = endpoints.of({ ...file.endpoints, ...this.#test.endpoints }, namespace);
    const stage = new Stage({ ...mesh, from, zone: this.#test.zone ?? zone, seed: this.#test.seed, cache });
    this.#stages.set(from, stage);
    return stage;
  }
}

/** Of the nearest thing that is written. */
function placeOf({ placeOf: find, place }: WrittenObject, below: string): Place {
  for (let at = below; at !== ''; at = at.slice(0, Math.max(at.lastIndexOf('.'), at.lastIndexOf('['), 0))) {
    const found = find(at);
    if (found !== null) return found;
  }
  return place;
}
