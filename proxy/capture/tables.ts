/**
 * Reads and changes the nat tables of this network namespace by the iptables programs. Decides nothing about rules.
 */
import { spawn } from 'node:child_process';
import { err, ok, type Result } from '#base/result.ts';
import type { IpRange } from './ip-range.ts';
import { parseListing } from './rules.ts';

/** Seconds to wait for another program that holds the tables' lock. */
const LOCK_SECONDS = '10';

const PROGRAMS: Readonly<Record<IpRange['family'], string>> = { 4: 'iptables', 6: 'ip6tables' };

export interface NatTable {
  /** All chains with their rules; the sentence that says why they cannot be read. */
  list(): Promise<Result<ReadonlyMap<string, readonly string[]>, string>>;
  /** Runs a script of `iptables-restore` as a whole. */
  restore(script: string): Promise<Result<null, string>>;
}

export function natTable(family: IpRange['family']): NatTable {
  const program = PROGRAMS[family];
  return {
    async list() {
      const listed = await run(program, ['-w', LOCK_SECONDS, '-t', 'nat', '-S'], '');
      return listed.ok ? ok(parseListing(listed.value)) : listed;
    },
    async restore(script) {
      const restored = await run(`${program}-restore`, ['--noflush', '-w', LOCK_SECONDS], script);
      return restored.ok ? ok(null) : restored;
    },
  };
}

/** What the program wrote; or, when it failed, what it complained of. */
function run(program: string, args: readonly string[], input: string): Promise<Result<string, string>> {
  return new Promise((resolve) => {
    const child = spawn(program, args);
    let output = '';
    let complaint = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (complaint += text));
    child.on('error', (error: NodeJS.ErrnoException) => {
      resolve(err(error.code === 'ENOENT' ? `${program} is not installed` : `${program}: ${error.message}`));
    });
    child.on('close', (code) => {
      resolve(code === 0 ? ok(output) : err(`${program}: ${complaint.trim() || `ended with code ${code}`}`));
    });
    // A program that ended before reading says so by its code.
    child.stdin.on('error', () => undefined);
    child.stdin.end(input);
  });
}
