/**
 * Runs `ip` and other tools that manage the network, and reads what they print. Decides nothing.
 */
import { spawn } from 'node:child_process';

/** What the program wrote. Rejects with its complaint; `lines` go to its standard input. */
export function execute(program: string, args: readonly string[], lines: readonly string[] = []): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args);
    let output = '';
    let complaint = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (complaint += text));
    child.on('error', (error: NodeJS.ErrnoException) =>
      reject(error.code === 'ENOENT' ? new Error(`${program} is not installed`) : error),
    );
    child.on('close', (code) => {
      if (code === 0) resolve(output);
      else
        reject(new Error(`${program} ${args.join(' ')}: ${(complaint || output).trim() || `ended with code ${code}`}`));
    });
    // Who ended before reading says so by its code.
    child.stdin.on('error', () => undefined);
    child.stdin.end(lines.map((line) => `${line}\n`).join(''));
  });
}

/** Network namespaces whose name begins with `prefix`. */
export async function leftovers(prefix: string): Promise<readonly string[]> {
  const list = await execute('ip', ['netns', 'list']);
  return list
    .split('\n')
    .map((line) => line.split(' ', 1)[0] ?? '')
    .filter((name) => name.startsWith(prefix));
}

/** Third bytes of the 10.66.0.0/16 addresses that this machine has: each belongs to a mesh that runs. */
export async function usedBlocks(): Promise<ReadonlySet<number>> {
  const list = await execute('ip', ['-4', '-o', 'addr', 'show']);
  return new Set(Array.from(list.matchAll(/ 10\.66\.(\d+)\./g), ([, block]) => Number(block)));
}
