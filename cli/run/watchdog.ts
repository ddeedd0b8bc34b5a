/**
 * Ends our children when we cannot: a tiny shell process in a group of its own holds the list of process groups and kills them
 * once its standard input closes, which happens however the runner dies. Needs no cooperation from the children.
 */
import { spawn, type ChildProcess } from 'node:child_process';

/** Reads `+ GROUP` and `- GROUP` lines; at the end of input, asks the groups to end and after a second makes them. */
const SCRIPT = `
trap '' INT TERM HUP QUIT
groups=' '
while read -r verb group; do
  case $verb in
    +) groups="$groups$group " ;;
    -) groups="\${groups%% $group *} \${groups#* $group }" ;;
  esac
done
[ "$groups" = ' ' ] && exit 0
for group in $groups; do kill -TERM -"$group" 2>/dev/null; done
sleep 1
for group in $groups; do kill -KILL -"$group" 2>/dev/null; done
`;

export interface Watchdog {
  /** From now on the group dies with us. Groups are those of children spawned with `detached`. */
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
