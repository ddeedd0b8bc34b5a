/** Programs that some tests need and that npm does not bring: where they may lie. */
import { accessSync, constants, globSync } from 'node:fs';
import { delimiter, join } from 'node:path';

const FETCHED = join(import.meta.dirname, '..', '..', '.tulle', 'tools');
/** Where Debian puts servers, which are not for users to call. */
const SERVERS = ['/usr/sbin', '/usr/lib/postgresql/*/bin'];

/** Path of a program: named by the variable of its name in upper case (`ENVOY`), fetched by our scripts, or in PATH. Null when it is nowhere. */
export function findTool(name: string): string | null {
  const named = process.env[name.toUpperCase().replaceAll('-', '_')];
  const folders = [FETCHED, ...(process.env['PATH'] ?? '').split(delimiter), ...globSync(SERVERS)];
  const places = [...(named === undefined ? [] : [named]), ...folders.map((folder) => join(folder, name))];
  return places.find(isExecutable) ?? null;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
