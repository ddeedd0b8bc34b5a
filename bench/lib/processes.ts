/**
 * Processes under test: started, watched until they answer, their CPU and memory read from `/proc`, stopped.
 * Linux only, as the figures are.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { openSync, readFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/** USER_HZ, which is 100 on every Linux architecture that Node supports: `/proc/<pid>/stat` counts in it. */
const TICK_MS = 10;
const READY_TIMEOUT_MS = 15_000;

export interface Running {
  readonly pid: number;
  /** Processes that it has started and that run now. */
  children(): readonly number[];
  stop(): Promise<void>;
}

/** Whatever happens, nothing that was started here outlives this process. */
const alive = new Set<ChildProcess>();
process.once('exit', () => {
  for (const child of alive) child.kill('SIGKILL');
});

/** Starts `command`, its output going to `logFile`. Rejects when it cannot be started. */
export async function start(
  command: readonly [string, ...string[]],
  logFile: string,
  env: Readonly<Record<string, string>> = {},
): Promise<Running> {
  const log = openSync(logFile, 'a');
  const [program, ...args] = command;
  const child = spawn(program, args, { stdio: ['ignore', log, log], env: { ...process.env, ...env } });
  await new Promise<void>((resolve, reject) => {
    child.once('spawn', resolve);
    child.once('error', reject);
  });
  alive.add(child);
  child.once('exit', () => alive.delete(child));
  const pid = child.pid ?? 0;
  return { pid, children: () => childrenOf(pid), stop: () => stop(child) };
}

function childrenOf(pid: number): readonly number[] {
  const text = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
  return text === '' ? [] : text.split(' ').map(Number);
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  child.kill('SIGTERM');
  const killer = setTimeout(() => child.kill('SIGKILL'), 2000);
  await exited;
  clearTimeout(killer);
}

/** CPU time of a process with all its threads, user and kernel, in microseconds (proc(5), fields 14 and 15). */
export function cpuUs(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  // The second field is the name in brackets, and may hold anything.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) * TICK_MS * 1000;
}

/** Resident memory in megabytes (10^6 bytes). */
export function rssMb(pid: number): number {
  const kib = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return (Number(kib) * 1024) / 1e6;
}

export async function freePort(address: string): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, address, resolve);
  });
  const bound = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (bound === null || typeof bound === 'string') throw new Error(`no free port on ${address}`);
  return bound.port;
}

/** Resolves with the milliseconds it took until `GET path` was answered with 200; rejects with what was last seen. */
export async function untilAnswered(
  target: { readonly address: string; readonly port: number; readonly host?: string },
  path: string,
  everyMs: number,
): Promise<number> {
  const started = performance.now();
  let seen = 'nothing';
  while (performance.now() - started < READY_TIMEOUT_MS) {
    seen = await firstLine(target, path);
    if (/^HTTP\/1\.[01] 200\b/.test(seen)) return performance.now() - started;
    await sleep(everyMs);
  }
  throw new Error(`${target.address}:${target.port}${path} does not answer 200, but: ${seen}`);
}

function firstLine(
  { address, port, host = address }: { readonly address: string; readonly port: number; readonly host?: string },
  path: string,
): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(port, address);
    let text = '';
    const end = (line: string): void => {
      socket.destroy();
      resolve(line);
    };
    socket.setTimeout(2000, () => end('no answer in 2 s'));
    socket.on('error', (error) => end(error.message));
    socket.on('connect', () => socket.write(`GET ${path} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`));
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1');
      if (text.includes('\r\n')) end(text.slice(0, text.indexOf('\r\n')));
    });
    socket.on('close', () => end(text === '' ? 'closed without an answer' : text));
  });
}
