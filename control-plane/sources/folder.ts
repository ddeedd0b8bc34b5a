/**
 * The folder source: trees of manifest files as a stream of object events, kept up to date while people edit them.
 * What is broken stays as it was last good, with a problem. Knows nothing of what objects mean together.
 */
import { readFile } from 'node:fs/promises';
import type { Clock, Timer } from '#base/clock.ts';
import type { Logger } from '#base/log.ts';
import { formatProblem, Problems } from '#base/problems.ts';
import { objectKey } from '../kinds/meta.ts';
import { FolderWatch } from './folder-watch.ts';
import { duplicateProblem, type ManifestFile, readManifestFile, wholeFile } from './manifest-file.ts';
import { codeOf, findManifests, type FoundFile, type FoundTree, startOf } from './manifest-tree.ts';
import type { Source, SourceProblem, SourceProblems } from './source.ts';
import type { AnyObject, ObjectEvent } from './world.ts';

/** Safety net below the watches: they can be lost, and do not reach everywhere. */
const RESCAN_MS = 3000;
/** A file that was changed less than this before it was read may change again without a new time stamp (ticks of file systems). */
const SETTLED_MS = 100;
/** A file that had objects and is empty is taken for half-written during this time. */
const BLANK_GRACE_MS = 1000;
const MAX_PROBLEMS = 1000;

export interface FolderOptions {
  /** Folders, or single files, in order of precedence. */
  readonly roots: readonly string[];
  readonly clock: Clock;
  readonly log: Logger;
}

interface FileState {
  /** '' when the file must be read again at the next look. */
  readonly stamp: string;
  readonly file: ManifestFile;
  /** When it was first seen empty; null when it is not, or may be. */
  readonly blankSince: number | null;
}

const NO_FILE: ManifestFile = { text: '', objects: new Map(), problems: [], skipped: new Map() };

export class FolderSource implements Source {
  readonly #options: FolderOptions;
  readonly #watch: FolderWatch;
  #files: ReadonlyMap<string, FileState> = new Map();
  #inForce: ReadonlyMap<string, AnyObject> = new Map();
  #reported = '';
  #onBatch: (events: readonly ObjectEvent[]) => void = () => undefined;
  #onProblems: (problems: SourceProblems) => void = () => undefined;
  #rescan: Timer | null = null;
  #running: Promise<void> | null = null;
  #again = false;
  #closed = false;

  constructor(options: FolderOptions) {
    this.#options = options;
    this.#watch = new FolderWatch(options.clock, () => this.#lookAgain());
  }

  async start(
    onBatch: (events: readonly ObjectEvent[]) => void,
    onProblems: (problems: SourceProblems) => void,
  ): Promise<void> {
    this.#onBatch = onBatch;
    this.#onProblems = onProblems;
    this.#rescan = this.#options.clock.every(RESCAN_MS, () => this.#lookAgain());
    await this.refresh();
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#rescan?.cancel();
    this.#watch.close();
    await this.#running;
  }

  /** Looks at everything now. Calls while a look is under way share one further look. */
  refresh(): Promise<void> {
    this.#again = true;
    this.#running ??= this.#lookUntilQuiet();
    return this.#running;
  }

  /** A look that fails is a defect of ours: it is told, what is in force stays, and the next look is another chance. */
  #lookAgain(): void {
    this.refresh().catch((error: unknown) => {
      this.#options.log.error('the folders could not be read', {
        error: error instanceof Error ? error.stack : String(error),
      });
    });
  }

  async #lookUntilQuiet(): Promise<void> {
    try {
      while (this.#again && !this.#closed) {
        this.#again = false;
        await this.#look();
      }
    } finally {
      this.#running = null;
    }
  }

  async #look(): Promise<void> {
    const problems = new Problems(MAX_PROBLEMS);
    const tree = await findManifests(this.#options.roots, problems, (folder) => {
      if (!this.#closed) this.#watch.add(folder);
    });
    this.#watch.keepOnly(tree.folders);
    const files = new Map<string, FileState>();
    for (const found of tree.files.values()) files.set(found.path, await this.#load(found, tree, problems));
    if (this.#closed) return;
    this.#files = files;
    this.#report(problems.list.map(wholeFile), problems.dropped);
  }

  async #load(found: FoundFile, tree: FoundTree, problems: Problems): Promise<FileState> {
    const known = this.#files.get(found.path) ?? null;
    if (known !== null && known.stamp === found.stamp) return known;
    const kept = { ...NO_FILE, ...known?.file, problems: [] };
    if (found.tooLarge) return { stamp: found.stamp, file: kept, blankSince: null };
    const text = await this.#readText(found.path, problems);
    if (text === null) return { stamp: '', file: kept, blankSince: null };
    const settled = this.#options.clock.wall() - found.changedMs > SETTLED_MS;
    const stamp = settled ? found.stamp : '';
    if (known !== null && known.file.text === text) return { ...known, stamp, blankSince: null };
    if (text.trim() === '' && known !== null && known.file.objects.size > 0) {
      const blank = this.#stillBlank(known);
      if (blank !== null) return blank;
    }
    const file = readManifestFile(found.path, text, known?.file ?? null, (id) => this.#lastGood(id, known, tree));
    this.#logSkipped(found.path, file);
    return { stamp, file, blankSince: null };
  }

  async #readText(path: string, problems: Problems): Promise<string | null> {
    try {
      return await readFile(path, 'utf8');
    } catch (error) {
      if (codeOf(error) !== 'ENOENT') problems.add('', `cannot be read (${codeOf(error)})`, '', startOf(path));
      return null;
    }
  }

  /** The state as it was, for as long as an empty file may be one that is just being written; then null. */
  #stillBlank(known: FileState): FileState | null {
    const { clock } = this.#options;
    const since = known.blankSince ?? clock.now();
    const restMs = since + BLANK_GRACE_MS - clock.now();
    if (restMs <= 0) return null;
    if (known.blankSince === null) clock.after(restMs, () => this.#lookAgain());
    return { ...known, stamp: '', blankSince: since };
  }

  /** From the same file, or from one that is gone: it may have been renamed. */
  #lastGood(id: string, known: FileState | null, tree: FoundTree): AnyObject | null {
    const own = known?.file.objects.get(id);
    if (own !== undefined) return own;
    const other = this.#inForce.get(id);
    return other !== undefined && other.place !== null && !tree.files.has(other.place.file) ? other : null;
  }

  #logSkipped(path: string, file: ManifestFile): void {
    if (file.skipped.size === 0) return;
    const kinds = Array.from(file.skipped, ([kind, count]) => `${kind} ${count}`);
    this.#options.log.debug('objects of kinds that are not read', { file: path, kinds });
  }

  #report(found: readonly SourceProblem[], dropped: number): void {
    const problems = [...found];
    const next = new Map<string, AnyObject>();
    for (const { file } of this.#files.values()) {
      problems.push(...file.problems);
      for (const [id, object] of file.objects) {
        const first = this.#standing(id) ?? next.get(id) ?? object;
        if (first === object) next.set(id, object);
        else problems.push(duplicateProblem(id, object, first));
      }
    }
    const events = difference(this.#inForce, next);
    if (events.length > 0) this.#onBatch(events);
    // Only what was taken in is in force: after a failure the next look tells it again.
    this.#inForce = next;
    const over = Math.max(0, problems.length - MAX_PROBLEMS);
    this.#reportProblems({ list: problems.slice(0, MAX_PROBLEMS), dropped: dropped + over });
  }

  /** What is in force stays so beside a new object of the same name, wherever that lies: a mistake changes nothing. */
  #standing(id: string): AnyObject | undefined {
    const place = this.#inForce.get(id)?.place;
    return place === undefined || place === null ? undefined : this.#files.get(place.file)?.file.objects.get(id);
  }

  #reportProblems(problems: SourceProblems): void {
    const text = [...problems.list.map(formatProblem), problems.dropped].join('\n');
    if (text === this.#reported) return;
    this.#reported = text;
    this.#onProblems(problems);
  }
}

/** Objects that are the same object are not reported: unchanged files keep theirs. */
function difference(
  before: ReadonlyMap<string, AnyObject>,
  after: ReadonlyMap<string, AnyObject>,
): readonly ObjectEvent[] {
  const events: ObjectEvent[] = [];
  for (const [id, object] of after) {
    if (before.get(id) !== object) events.push({ type: 'set', object });
  }
  for (const [id, object] of before) {
    if (!after.has(id)) events.push({ type: 'delete', kind: object.kind, key: objectKey(object.meta) });
  }
  return events;
}
