/**
 * Programs of others that the benchmark needs: found, or named with the way to get them.
 */
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

const INSTALL: Readonly<Record<string, string>> = {
  nginx: 'apt-get install nginx',
  haproxy: 'apt-get install haproxy',
  wrk: 'apt-get install wrk',
  openssl: 'apt-get install openssl',
  h2load: 'apt-get install nghttp2-client',
  nghttpx: 'apt-get install nghttp2-proxy',
  envoy: 'npm run tools',
};

/** Where `npm run tools` puts what it brings. */
const FETCHED = join(import.meta.dirname, '..', '..', '.tulle', 'tools');

/** Path of a program, null when it is not there. System folders count even when PATH has them not. */
export function findTool(name: string): string | null {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin', '/sbin', FETCHED];
  return folders.map((folder) => join(folder, name)).find(isExecutable) ?? null;
}

/** Why something is left out, and how to have it. */
export function howToGet(name: string): string {
  return `${name} is not installed${INSTALL[name] === undefined ? '' : ` (${INSTALL[name]})`}`;
}

/** Path of a program that must be there. */
export function needTool(name: string): string {
  const path = findTool(name);
  if (path === null) throw new Error(howToGet(name));
  return path;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
