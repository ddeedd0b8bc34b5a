/**
 * From what sources report to the mesh in force: world, compilation, problems, conditions.
 * Knows when to compile; neither where objects come from nor who is told.
 */
import type { Clock } from '#base/clock.ts';
import type { Logger } from '#base/log.ts';
import { formatProblem } from '#base/problems.ts';
import { compile } from './compile/compile.ts';
import type { Compiled, CompileOptions } from './compile/compiled.ts';
import { Debounce } from './debounce.ts';
import { ClusterIps } from './sources/cluster-ips.ts';
import type { ClusterIpRange } from './sources/cluster-ips.ts';
import type { Source, SourceProblem, SourceProblems } from './sources/source.ts';
import { WorldStore } from './sources/world-store.ts';
import { formatConditions } from './status/writer.ts';

/** Long enough for the files of one save, short enough that nobody waits. */
const DEBOUNCE = { quietMs: 30, ceilingMs: 500 };

export interface MeshStateOptions {
  readonly sources: readonly Source[];
  readonly compile: CompileOptions;
  /** For Services that name no cluster IP; null: they get none. */
  readonly clusterIpRange: ClusterIpRange | null;
  readonly clock: Clock;
  readonly log: Logger;
  /** The mesh differs from the one before. Not called before everything was read once. */
  readonly onChange: (compiled: Compiled) => void;
  readonly onCompiled: (durationMs: number) => void;
}

export class MeshState {
  readonly #options: MeshStateOptions;
  readonly #store = new WorldStore();
  readonly #problems = new Map<Source, SourceProblems>();
  readonly #debounce: Debounce;
  readonly #clusterIps: ClusterIps | null;
  #compiled: Compiled;
  #isSynced = false;

  constructor(options: MeshStateOptions) {
    this.#options = options;
    this.#clusterIps = options.clusterIpRange === null ? null : new ClusterIps(options.clusterIpRange);
    this.#compiled = compile(this.#store.world, options.compile);
    this.#debounce = new Debounce(options.clock, DEBOUNCE, () => this.#recompile());
  }

  get compiled(): Compiled {
    return this.#compiled;
  }

  /** Everything was read once. */
  get isSynced(): boolean {
    return this.#isSynced;
  }

  get problems(): readonly SourceProblem[] {
    return [...this.#problems.values()].flatMap(({ list }) => list);
  }

  get objectCount(): number {
    return Object.values(this.#store.world).reduce(
      (sum, objects: ReadonlyMap<string, unknown>) => sum + objects.size,
      0,
    );
  }

  /**
   * Reads everything and compiles it; from then on changes are followed. Rejects when the first compilation fails:
   * there is no good state to keep, and the empty one would tell clients that all they know is gone.
   */
  async start(): Promise<void> {
    await Promise.all(
      this.#options.sources.map((source) =>
        source.start(
          (events) => {
            if (this.#store.apply(events) && this.#isSynced) this.#debounce.touch();
          },
          (problems) => this.#setProblems(source, problems),
        ),
      ),
    );
    this.#compileAgain();
    this.#isSynced = true;
  }

  async close(): Promise<void> {
    this.#debounce.cancel();
    await Promise.all(this.#options.sources.map((source) => source.close()));
  }

  #recompile(): void {
    try {
      this.#compileAgain();
    } catch (error) {
      // A defect of ours: what was in force stays, and the next change is another chance.
      this.#options.log.error('the manifests could not be compiled', {
        error: error instanceof Error ? error.stack : String(error),
      });
    }
  }

  #compileAgain(): void {
    const { clock, log, onChange, onCompiled } = this.#options;
    const startMs = clock.now();
    const before = this.#compiled;
    const world = this.#clusterIps?.fill(this.#store.world) ?? this.#store.world;
    this.#compiled = compile(world, this.#options.compile, before);
    onCompiled(clock.now() - startMs);
    for (const { level, text, fields } of formatConditions(this.#compiled.conditions, before.conditions)) {
      log[level](text, fields);
    }
    if (this.#compiled.mesh !== before.mesh) onChange(this.#compiled);
  }

  /** Logs what is new; what stays wrong is not repeated. */
  #setProblems(source: Source, problems: SourceProblems): void {
    const { log } = this.#options;
    const known = new Set((this.#problems.get(source)?.list ?? []).map(formatProblem));
    this.#problems.set(source, problems);
    for (const problem of problems.list) {
      const line = formatProblem(problem);
      if (!known.has(line)) log.warn(line, { object: problem.object === '' ? undefined : problem.object });
    }
    if (problems.dropped > 0) log.warn(`and ${problems.dropped} more problems`);
    if (known.size > 0 && problems.list.length === 0) log.info('all manifests are in order again');
  }
}
