/**
 * A mesh of real processes for end-to-end tests: started from the sources, in a state folder that goes away with it.
 */
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { systemClock } from '#base/clock.ts';
import { ask } from '../../cli/admin/ask.ts';
import { Load } from '../../cli/demo/load.ts';
import { ownPrograms } from '../../cli/programs.ts';
import type { RunSettings } from '../../cli/run/settings.ts';
import { startMesh, type Mesh } from '../../cli/run/mesh.ts';
import type { Replica } from '../../cli/run/replica.ts';

export const ROOT = path.join(import.meta.dirname, '..', '..');

/** Shared by all tests: twenty processes that each compile everything would be half of their time. */
const COMPILE_CACHE = path.join(tmpdir(), 'tulle-e2e-compile-cache');

/** Nothing on this machine may take longer than this, however busy it is. */
const PATIENCE_MS = 40_000;

export interface RunningMesh {
  readonly mesh: Mesh;
  /** A copy of the example, to be edited. */
  readonly folder: string;
  /** Everything that was said on the terminal. */
  readonly said: readonly string[];
  close(): Promise<void>;
}

/** A folder for the state of a test; not below the project, whose watchers would see it. */
export function stateFolder(): string {
  return mkdtempSync(path.join(tmpdir(), 'tulle-e2e-'));
}

/**
 * Waits until no other test runs a mesh: each is twenty processes, and two of them on a small machine only measure each other.
 * The turn is a listening socket, so that it ends with whoever holds it.
 */
export async function takeTurn(): Promise<() => void> {
  for (;;) {
    const server = createServer((socket) => socket.destroy());
    const taken = await new Promise<boolean>((resolve) => {
      server.once('error', () => resolve(false));
      server.listen(15_012, '127.65.0.1', () => resolve(true));
    });
    if (taken) return () => void server.close();
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

/** A copy of the shop, all replicas ready. */
export function startShop(options: { leafTtlMs: number }): Promise<RunningMesh> {
  const folder = path.join(stateFolder(), 'shop');
  cpSync(path.join(ROOT, 'examples/shop'), folder, { recursive: true });
  return startFolder(folder, 10, options);
}

/** The mesh of a folder of its own below a state folder, when so many replicas are ready. */
export async function startFolder(
  folder: string,
  replicas: number,
  options: Partial<Pick<RunSettings, 'leafTtlMs' | 'network'>>,
): Promise<RunningMesh> {
  const state = path.dirname(folder);
  const said: string[] = [];
  const searchPath = `${path.dirname(process.execPath)}:/usr/bin:/bin`;
  const programs = ownPrograms(path.join(ROOT, 'cli/main.ts'), state, { PATH: searchPath });
  const mesh = await startMesh({
    settings: {
      folder,
      stateFolder: state,
      logFolder: path.join(state, 'logs'),
      network: 'loopback',
      clusterDomain: 'cluster.local',
      trustDomain: 'cluster.local',
      leafTtlMs: 86_400_000,
      baseVariables: { PATH: searchPath },
      ...options,
    },
    programs: { ...programs, env: { ...programs.env, NODE_COMPILE_CACHE: COMPILE_CACHE } },
    clock: systemClock,
    report: { news: (line) => said.push(line), problem: (line) => said.push(`! ${line}`) },
  });
  await until('all replicas are ready', () => mesh.settled && mesh.replicas.length === replicas);
  return {
    mesh,
    folder,
    said,
    async close() {
      await mesh.close();
      rmSync(state, { recursive: true, force: true });
    },
  };
}

/** Resolves when `holds` does; rejects, with what was waited for, when that takes too long. */
export async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  const deadlineMs = performance.now() + PATIENCE_MS;
  while (!(await holds())) {
    if (performance.now() > deadlineMs) throw new Error(`waited in vain until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** A steady load on the frontend. */
export function loadOn(mesh: Mesh, rps: number): Load {
  return new Load({
    clock: systemClock,
    rps,
    host: 'frontend',
    paths: ['/products/1', '/products/2'],
    targets: () => {
      const all = replicasOf(mesh, 'frontend');
      const ready = all.filter((replica) => replica.ready);
      return (ready.length > 0 ? ready : all).map(({ network }) => ({ address: network.podAddress, port: 8080 }));
    },
  });
}

export function replicasOf(mesh: Mesh, deployment: string): readonly Replica[] {
  return mesh.replicas.filter(({ plan }) => plan.deployment === deployment);
}

/** The sum of a metric over the series whose line has all these words. */
export async function metric(address: string, name: string, ...words: readonly string[]): Promise<number> {
  const page = await ask(`http://${address}/metrics`);
  return (page?.body ?? '')
    .split('\n')
    .filter((line) => line.startsWith(name) && words.every((word) => line.includes(word)))
    .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
