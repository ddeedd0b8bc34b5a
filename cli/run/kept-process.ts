/**
 * One child process that is kept alive: started, started again with back-off when it dies, ended politely and then by force.
 * Its output goes to a file. Knows nothing of what the program is.
 */
import { spawn, type ChildProcess, type StdioOptions } from 'node:child_process';
import { closeSync, existsSync, fstatSync, mkdirSync, openSync, readSync, renameSync, statSync } from 'node:fs';
import path from 'node:path';
import type { Clock, Timer } from '#base/clock.ts';
import type { Watchdog } from './watchdog.ts';

export interface Command {
  readonly program: string;
  readonly args: readonly string[];
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
}

export interface Exit {
  /** Null when a signal ended it, or when it could not be started. */
  readonly code: number | null;
  readonly signal: string;
  readonly livedMs: number;
  /** The end of what it wrote since it was started, at most `TAIL_BYTES`. */
  readonly output: string;
  /** Why it could not be started at all; empty otherwise. */
  readonly notStarted: string;
}

export interface KeepOptions {
  readonly clock: Clock;
  readonly watchdog: Watchdog;
  readonly logFile: string;
  /** The wait before the first restart; it doubles up to `maxMs` while the process keeps dying young. */
  readonly backoff: { readonly firstMs: number; readonly maxMs: number };
  readonly onStart?: (pid: number) => void;
  /** An end that nobody asked for; it will be started again in `restartInMs`. */
  readonly onDeath: (exit: Exit, restartInMs: number) => void;
}

/** Who lives this long has recovered: the next death is a first one. */
const RECOVERED_MS = 10_000;
/** The first step of the doubling when the first restart came at once. */
const STEP_MS = 200;
const TAIL_BYTES = 4096;
/** A log over this size is put aside (`.1`) at the next start of its process. */
const LOG_BYTES = 16 * 1024 * 1024;

export class KeptProcess {
  readonly #command: Command;
  readonly #options: KeepOptions;
  #child: ChildProcess | null = null;
  #ended: Promise<void> = Promise.resolve();
  #restart: Timer | null = null;
  #deaths = 0;
  #started = false;
  #stopping = false;

  constructor(command: Command, options: KeepOptions) {
    this.#command = command;
    this.#options = options;
  }

  /** Null while it is not running. */
  get pid(): number | null {
    return this.#child?.pid ?? null;
  }

  /** Nobody has started it yet. */
  get isIdle(): boolean {
    return !this.#started;
  }

  start(): void {
    this.#started = true;
    const { clock, watchdog, logFile } = this.#options;
    const { program, args, cwd, env } = this.#command;
    const log = openLog(logFile);
    const from = fstatSync(log).size;
    const startedMs = clock.now();
    const entering = watchdog.entering(program, args);
    const stdio: StdioOptions = ['ignore', log, log, watchdog.list];
    const child = spawn(entering.program, entering.args, { cwd, env, stdio, detached: true });
    closeSync(log);
    this.#child = child;
    this.#ended = new Promise((resolve) => {
      const finish = (code: number | null, signal: string | null, notStarted: string): void => {
        if (this.#child !== child) return;
        this.#child = null;
        if (child.pid !== undefined) {
          // What it left behind in its group must not outlive it, for it would keep its ports.
          signalGroup(child.pid, 'SIGKILL');
          watchdog.release(child.pid);
        }
        resolve();
        const livedMs = clock.now() - startedMs;
        if (!this.#stopping) {
          const output = tail(logFile, from);
          const refused = notStarted === '' ? refusal(program, code, output) : notStarted;
          this.#died({ code, signal: signal ?? '', livedMs, output, notStarted: refused });
        }
      };
      child.on('exit', (code, signal) => finish(code, signal, ''));
      child.on('error', (error) => finish(null, null, existsSync(cwd) ? error.message : `there is no folder ${cwd}`));
    });
    if (child.pid === undefined) return;
    watchdog.guard(child.pid);
    this.#options.onStart?.(child.pid);
  }

  /** Asks it to end, and makes it after `graceMs`. Resolves when it is gone; it is not started again. */
  async stop(graceMs: number): Promise<void> {
    this.#stopping = true;
    this.#restart?.cancel();
    const pid = this.pid;
    if (pid === null) return;
    signalGroup(pid, 'SIGTERM');
    const force = this.#options.clock.after(graceMs, () => signalGroup(pid, 'SIGKILL'));
    await this.#ended;
    force.cancel();
  }

  #died(exit: Exit): void {
    const { backoff, clock, onDeath } = this.#options;
    this.#deaths = exit.livedMs >= RECOVERED_MS ? 0 : this.#deaths;
    const waitMs =
      this.#deaths === 0
        ? backoff.firstMs
        : Math.min(backoff.maxMs, Math.max(backoff.firstMs, STEP_MS) * 2 ** Math.min(this.#deaths, 16));
    this.#deaths++;
    this.#restart = clock.after(waitMs, () => this.start());
    onDeath(exit, waitMs);
  }
}

/** Signals the process group that `leader` leads; a group that is gone is no error. */
function signalGroup(leader: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-leader, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** Why the shell that entered the child in the watchdog's list could not become the program (POSIX 2.8.2); empty when it could. */
function refusal(program: string, code: number | null, output: string): string {
  if (!output.includes(`exec: ${program}:`)) return '';
  if (code === 127) return `there is no program ${program}`;
  return code === 126 ? `${program} cannot be executed` : '';
}

function openLog(file: string): number {
  mkdirSync(path.dirname(file), { recursive: true });
  if ((statSync(file, { throwIfNoEntry: false })?.size ?? 0) > LOG_BYTES) renameSync(file, `${file}.1`);
  return openSync(file, 'a', 0o600);
}

function tail(file: string, from: number): string {
  const log = openSync(file, 'r');
  try {
    const { size } = fstatSync(log);
    const start = Math.max(from, size - TAIL_BYTES);
    const bytes = Buffer.alloc(Math.max(0, size - start));
    readSync(log, bytes, 0, bytes.length, start);
    return bytes.toString('utf8');
  } finally {
    closeSync(log);
  }
}
