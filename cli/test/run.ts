/** Plays the tests of a file, each on a stage of its own, and says what came of them. Knows no terminal. */
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { systemClock } from '#base/clock.ts';
import { Problems, formatProblem, type Place } from '#base/problems.ts';
import { compile } from '../../control-plane/compile/compile.ts';
import { DEFAULT_COMPILE_OPTIONS } from '../../control-plane/compile/compiled.ts';
import type { Mesh } from '../../control-plane/model/mesh.ts';
import { WorldStore } from '../../control-plane/sources/world-store.ts';
import { readYaml, type WrittenObject } from '../../control-plane/sources/yaml-documents.ts';
import { problemLines } from '../run/manifests.ts';
import { readManifests } from '../world.ts';
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
  return { file, problems: [], results: read.tests.map((test, i) => runTest(test, i, read, mesh, document)) };
}

function runTest(test: TrafficTest, index: number, file: TestFile, mesh: Mesh, document: WrittenObject): TestResult {
  const startMs = systemClock.now();
  const stages = new Stages(mesh, file, test);
  const failures: string[] = [];
  const at = `tests[${index}]`;
  for (const [i, step] of stepsOf(test).entries()) {
    const where = test.steps === null ? at : `${at}.steps[${i}]`;
    for (const { path: below, sentence } of playStep(step, stages)) {
      const place = placeOf(document, `${where}.${below}`);
      failures.push(`${place.file}:${place.line}: ${below.replace(/^expect\./, '')} ${sentence}`);
    }
  }
  const { file: name, line } = placeOf(document, `${at}.name`);
  return { name: test.name, file: name, line, failures, tookMs: systemClock.now() - startMs };
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
  const tries = triesOf(played, stage);
  const route = played.exchange.routeName === '' ? 'no route' : `route ${played.exchange.routeName}`;
  return `${route}; ${tries.length === 0 ? 'no try' : `tries: ${tries.join(', ')}`}; answered ${played.client.status}`;
}

/** Who asks from elsewhere has a sidecar of its own. */
class Stages {
  readonly #mesh: Mesh;
  readonly #file: TestFile;
  readonly #test: TrafficTest;
  readonly #stages = new Map<string, Stage>();

  constructor(mesh: Mesh, file: TestFile, test: TrafficTest) {
    this.#mesh = mesh;
    this.#file = file;
    this.#test = test;
  }

  of(asked: string): Stage {
    const from = asked === '' ? this.#file.from : asked;
    let stage = this.#stages.get(from);
    if (stage === undefined) {
      const endpoints = { ...this.#file.endpoints, ...this.#test.endpoints };
      stage = new Stage({ mesh: this.#mesh, from, endpoints, seed: this.#test.seed });
      this.#stages.set(from, stage);
    }
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
