/**
 * Options of the command line as settings of a mesh, and signals as an abort. The environment is read here.
 */
import path from 'node:path';
import { systemClock } from '#base/clock.ts';
import type { RunSettings } from './settings.ts';

/** As commander gives them. */
export interface RunOptions {
  readonly netns: boolean;
  readonly stateDir: string;
  readonly log?: string;
  readonly domain: string;
  readonly trustDomain: string;
  readonly leafTtl: number;
}

/** What an application may inherit: where things are and how people like them, no secret of the caller's shell. */
const INHERITED = ['HOME', 'USER', 'LOGNAME', 'SHELL', 'LANG', 'LC_ALL', 'TZ', 'TMPDIR'];

export function runSettings(folder: string, options: RunOptions): RunSettings {
  const stateFolder = path.resolve(options.stateDir);
  return {
    folder: path.resolve(folder),
    stateFolder,
    logFolder: path.resolve(options.log ?? path.join(stateFolder, 'logs')),
    network: options.netns ? 'namespaces' : 'loopback',
    clusterDomain: options.domain,
    trustDomain: options.trustDomain,
    leafTtlMs: options.leafTtl,
    baseVariables: baseVariables(),
  };
}

/** What our own programs get: where programs are, and the settings that the caller has for them. Flags of the runner count first. */
export function programVariables(): Readonly<Record<string, string>> {
  const variables: Record<string, string> = { PATH: searchPath() };
  for (const [name, value] of Object.entries(process.env)) {
    if (name.startsWith('TULLE_') && value !== undefined) variables[name] = value;
  }
  return variables;
}

/** PATH begins with the folder of this Node, so that `command: [node, …]` finds one that is new enough. */
function searchPath(): string {
  return [path.dirname(process.execPath), process.env['PATH'] ?? '/usr/bin:/bin'].join(path.delimiter);
}

function baseVariables(): Readonly<Record<string, string>> {
  const variables: Record<string, string> = { PATH: searchPath() };
  for (const name of INHERITED) {
    const value = process.env[name];
    if (value !== undefined) variables[name] = value;
  }
  return variables;
}

/** A signal that comes this soon after the first is the same Ctrl-C, passed on by npm. */
const ECHO_MS = 1000;

/** Aborted by the first SIGINT or SIGTERM; a later one ends the process at once, and the watchdog its children. */
export function untilSignal(): AbortSignal {
  const controller = new AbortController();
  let firstMs = 0;
  const onSignal = (): void => {
    const nowMs = systemClock.now();
    if (!controller.signal.aborted) firstMs = nowMs;
    else if (nowMs - firstMs > ECHO_MS) process.exit(130);
    controller.abort();
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, onSignal);
  return controller.signal;
}
