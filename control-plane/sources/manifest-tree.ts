/**
 * Which manifest files lie in some folder trees, in order of path, with what tells a changed one: `stat`, never content.
 * Knows nothing of what is in them. Symbolic links are followed, as mounted ConfigMaps need it.
 */
import type { Stats } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { extname, join } from 'node:path';
import type { Problems } from '#base/problems.ts';
import { MAX_FILE_BYTES, TOO_LARGE, TOO_LARGE_ADVICE } from './yaml-documents.ts';

const EXTENSIONS: ReadonlySet<string> = new Set(['.yaml', '.yml', '.json']);
const MAX_FILES = 10_000;
const MAX_FOLDERS = 2000;
const MAX_DEPTH = 32;

export interface FoundFile {
  readonly path: string;
  /** Differs when the content may. */
  readonly stamp: string;
  /** Wall time of the last change of content or inode. */
  readonly changedMs: number;
  /** It is over the limit and must not be read. */
  readonly tooLarge: boolean;
}

export interface FoundTree {
  /** By path, in order: roots as given, then by name. */
  readonly files: ReadonlyMap<string, FoundFile>;
  readonly folders: ReadonlySet<string>;
}

interface Walk {
  readonly files: Map<string, FoundFile>;
  readonly folders: Set<string>;
  readonly problems: Problems;
  /** Told of each folder before it is read, so that a watch on it misses nothing. */
  readonly onFolder: (path: string) => void;
  full: boolean;
}

/** Roots are folders or single files. What cannot be read is a problem, and the rest is found all the same. */
export async function findManifests(
  roots: readonly string[],
  problems: Problems,
  onFolder: (path: string) => void,
): Promise<FoundTree> {
  const walk: Walk = { files: new Map(), folders: new Set(), problems, onFolder, full: false };
  for (const root of roots) await visit(root, [], walk);
  return { files: walk.files, folders: walk.folders };
}

/** `above` holds the inodes of the folders on the way here: a link back to one of them ends there. */
async function visit(path: string, above: readonly string[], walk: Walk): Promise<void> {
  const found = await statOf(path, above.length === 0, walk.problems);
  if (found === null) return;
  if (found.isFile()) addFile(path, found, above.length === 0, walk);
  else if (found.isDirectory()) await visitFolder(path, found, above, walk);
}

async function visitFolder(path: string, found: Stats, above: readonly string[], walk: Walk): Promise<void> {
  const inode = `${found.dev}:${found.ino}`;
  if (above.includes(inode) || above.length >= MAX_DEPTH || walk.folders.has(path)) return;
  if (walk.folders.size >= MAX_FOLDERS) {
    overflow(path, `there are more than ${MAX_FOLDERS} folders`, walk);
    return;
  }
  walk.folders.add(path);
  walk.onFolder(path);
  for (const name of await namesIn(path, walk.problems)) {
    if (name.startsWith('.') || name === 'node_modules') continue;
    await visit(join(path, name), [...above, inode], walk);
  }
}

async function namesIn(path: string, problems: Problems): Promise<readonly string[]> {
  try {
    const names = await readdir(path);
    return names.sort();
  } catch (error) {
    // Gone since it was found: the next look will not find it.
    if (codeOf(error) !== 'ENOENT') problems.add('', `cannot be read (${codeOf(error)})`, '', startOf(path));
    return [];
  }
}

async function statOf(path: string, isRoot: boolean, problems: Problems): Promise<Stats | null> {
  try {
    return await stat(path);
  } catch (error) {
    const code = codeOf(error);
    // A link to nowhere, or a file gone since its folder was read, is none of ours; a root was asked for.
    if (isRoot && code === 'ENOENT')
      problems.add('', 'does not exist', 'it is looked for again and again', startOf(path));
    else if (code !== 'ENOENT') problems.add('', `cannot be read (${code})`, '', startOf(path));
    return null;
  }
}

function addFile(path: string, found: Stats, isRoot: boolean, walk: Walk): void {
  if (!isRoot && !EXTENSIONS.has(extname(path).toLowerCase())) return;
  if (walk.files.size >= MAX_FILES) {
    overflow(path, `there are more than ${MAX_FILES} manifest files`, walk);
    return;
  }
  const tooLarge = found.size > MAX_FILE_BYTES;
  if (tooLarge) walk.problems.add('', TOO_LARGE, TOO_LARGE_ADVICE, startOf(path));
  walk.files.set(path, {
    path,
    stamp: `${found.dev}:${found.ino}:${found.size}:${found.mtimeMs}:${found.ctimeMs}`,
    changedMs: Math.max(found.mtimeMs, found.ctimeMs),
    tooLarge,
  });
}

function overflow(path: string, reason: string, walk: Walk): void {
  if (!walk.full) walk.problems.add('', `${reason}: from here on they are not read`, '', startOf(path));
  walk.full = true;
}

export function startOf(file: string): { readonly file: string; readonly line: number; readonly column: number } {
  return { file, line: 1, column: 1 };
}

export function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : String(error);
}
