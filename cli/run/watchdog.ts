/**
 * Ends our children when we cannot: a tiny shell process in a group of its own holds the list of process groups and kills them
 * once its standard input closes, which happens however the runner dies. Needs no cooperation from the programs.
 */
import { spawn, type ChildProcess, type IOType } from 'node:child_process';
import type { Stream } from 'node:stream';

/** Reads `+ GROUP` and `- GROUP` lines; at the end of input, asks the groups to end and after a second makes them. */
const SCRIPT = `
trap '' INT TERM HUP QUIT
groups=' '
while read -r verb group; do
  while case $groups in *" $group "*) true ;; *) false ;; esac; do
    groups="\${groups%% $group *} \${groups#* $group }"
  done
  [ "$verb" = + ] && groups="$groups$group "
done
[ "$groups" = ' ' ] && exit 0
for group in $groups; do kill -TERM -"$group" 2>/dev/null; done
sleep 1
for group in $groups; do kill -KILL -"$group" 2>/dev/null; done
`;

/**
 * A child enters itself in the list before it becomes the program, for we may die between its birth and our next instruction.
 * Descriptor 3 leads to the shell above; it does not outlive the entry, or the shell would wait for the program.
 */
const ENTER = `trap '' PIPE; echo "+ $$" 2>/dev/null >&3; trap - PIPE; exec 3>&-; exec "$@"`;

export interface Watchdog {
  /** The command that becomes `program` after entering its process group, which it must lead (`detached`), in the list. */
  entering(program: string, args: readonly string[]): { readonly program: string; readonly args: readonly string[] };
  /** What descriptor 3 of such a child must be. */
  readonly list: IOType | Stream;
  /** Keeps a group in mind for a shell that has to be started again. */
  guard(group: number): void;
  /** The group has ended by itself; its number may be another's soon. */
  release(group: number): void;
  /** Stops watching: what is still guarded is ended. */
  close(): Promise<void>;
}

/** Starts the shell; it is started again when something kills it. */
export function startWatchdog(): Watchdog {
  const groups = new Set<number>();
  let closing = false;
  let shell: ChildProcess = open();

  function open(): ChildProcess {
    const child = spawn('/bin/sh', ['-c', SCRIPT], { stdio: ['pipe', 'ignore', 'ignore'], detached: true });
    // Writing to a shell that was just killed fails; its exit is what counts.
    child.stdin?.on('error', () => undefined);
    child.on('exit', () => {
      if (!closing) shell = open();
    });
    for (const group of groups) child.stdin?.write(`+ ${group}\n`);
    return child;
  }

  return {
    entering: (program, args) => ({ program: '/bin/sh', args: ['-c', ENTER, 'sh', program, ...args] }),
    get list() {
      return shell.stdin ?? 'ignore';
    },
    guard(group) {
      groups.add(group);
      shell.stdin?.write(`+ ${group}\n`);
    },
    release(group) {
      groups.delete(group);
      shell.stdin?.write(`- ${group}\n`);
    },
    async close() {
      closing = true;
      if (shell.exitCode !== null || shell.signalCode !== null) return;
      const ended = new Promise((resolve) => shell.once('exit', resolve));
      shell.stdin?.end();
      await ended;
    },
  };
}
