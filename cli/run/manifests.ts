/**
 * Follows a folder of manifests for the runner: the World in it, what is wrong with it, and what edits change.
 * Uses the control plane's own reader and compiler, so that both say the same about the same file.
 */
import type { Clock } from '#base/clock.ts';
import { silentLogger } from '#base/log.ts';
import { formatProblem } from '#base/problems.ts';
import { compile } from '../../control-plane/compile/compile.ts';
import { DEFAULT_COMPILE_OPTIONS } from '../../control-plane/compile/compiled.ts';
import { FolderSource } from '../../control-plane/sources/folder.ts';
import type { SourceProblems } from '../../control-plane/sources/source.ts';
import type { World } from '../../control-plane/sources/world.ts';
import { WorldStore } from '../../control-plane/sources/world-store.ts';
import { troubleOf } from '../../control-plane/status/writer.ts';
import type { Report } from './report.ts';
import { describeEdits } from './edits.ts';

export interface Manifests {
  readonly world: World;
  close(): Promise<void>;
}

export interface ManifestOptions {
  readonly folder: string;
  readonly clusterDomain: string;
  readonly clock: Clock;
  readonly report: Report;
  readonly onWorld: (world: World) => void;
}

/** Resolves when everything was read once and reported. */
export async function followManifests(options: ManifestOptions): Promise<Manifests> {
  const { folder, clock, report, clusterDomain } = options;
  const source = new FolderSource({ roots: [folder], clock, log: silentLogger });
  const store = new WorldStore();
  const problems = new Told(report, 'the manifests have no problem any more');
  const statuses = new Told(report, 'every route and policy is in force again');
  let started = false;
  await source.start(
    (events) => {
      const before = store.world;
      if (!store.apply(events)) return;
      if (started) for (const line of describeEdits(before, store.world)) report.news(line);
      statuses.say(troubleOf(compile(store.world, { ...DEFAULT_COMPILE_OPTIONS, clusterDomain }).conditions));
      options.onWorld(store.world);
    },
    (found) => problems.say(problemLines(found)),
  );
  started = true;
  return {
    get world() {
      return store.world;
    },
    close: () => source.close(),
  };
}

/** Says lines that were not there before, and when the last of them is gone. */
class Told {
  readonly #report: Report;
  readonly #allWell: string;
  #lines: ReadonlySet<string> = new Set();

  constructor(report: Report, allWell: string) {
    this.#report = report;
    this.#allWell = allWell;
  }

  say(lines: readonly string[]): void {
    for (const line of lines) if (!this.#lines.has(line)) this.#report.problem(line);
    if (lines.length === 0 && this.#lines.size > 0) this.#report.news(this.#allWell);
    this.#lines = new Set(lines);
  }
}

/** The problems of a source as lines for a person. */
export function problemLines(problems: SourceProblems): readonly string[] {
  const lines = problems.list.map((p) => formatProblem(p));
  return problems.dropped === 0 ? lines : [...lines, `and ${problems.dropped} more problems`];
}
