/**
 * Text of a file, read while others go on. By `node:fs`, which every Node process has loaded: `node:fs/promises` costs a sidecar 1.5 MB more.
 */
import { readFile as readWithCallback } from 'node:fs';
import { promisify } from 'node:util';

const read = promisify(readWithCallback);

/** UTF-8. Rejects with Node's error. */
export function readText(path: string): Promise<string> {
  return read(path, 'utf8');
}
