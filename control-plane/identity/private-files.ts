/**
 * Files that only this user may read, written so that a reader or a crash never meets half of one.
 * Knows nothing of what is in them.
 */
import {
  closeSync,
  fchmodSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  statSync,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';

/** Only the owner reads and writes. */
export const PRIVATE_MODE = 0o600;
/** Everybody reads: certificates. */
export const PUBLIC_MODE = 0o644;

/** Creates the folder for the owner alone; an existing one is left as it is. */
export function makePrivateFolder(path: string): void {
  mkdirSync(path, { recursive: true, mode: 0o700 });
}

/** Writes beside the target, syncs, and renames over it. */
export function writeAtomically(path: string, content: string, mode: number): void {
  makePrivateFolder(dirname(path));
  const temporary = `${path}.${process.pid}.tmp`;
  const file = openSync(temporary, 'w', mode);
  try {
    // The mode of `open` is cut by the umask, and is not applied to a file left over by a crash.
    fchmodSync(file, mode);
    writeSync(file, content);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  renameSync(temporary, path);
}

/** The content, or null when there is no such file. Throws when others may read it. */
export function readPrivate(path: string): string | null {
  const status = statSync(path, { throwIfNoEntry: false });
  if (status === undefined) return null;
  if ((status.mode & 0o077) !== 0) {
    throw new Error(`${path} can be read by others: run chmod 600 ${path}`);
  }
  return readFileSync(path, 'utf8');
}

/** The content, or null when there is no such file. */
export function readIfPresent(path: string): string | null {
  const status = statSync(path, { throwIfNoEntry: false });
  return status === undefined ? null : readFileSync(path, 'utf8');
}
