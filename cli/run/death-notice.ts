/**
 * What to say when a process of the mesh has died: how it ended, when it comes back, and the usual cause if its output shows it.
 * Pure.
 */
import { formatDuration } from '#base/duration.ts';
import type { Exit } from './kept-process.ts';

/** What programs write when another already listens on their address. */
const ADDRESS_IN_USE = /EADDRINUSE|address already in use|Only one usage of each socket address/i;

/** One line for the terminal. */
export function deathNotice(
  name: string,
  role: 'app' | 'sidecar',
  exit: Exit,
  restartInMs: number,
  logFile: string,
): string {
  const who = role === 'app' ? name : `the sidecar of ${name}`;
  const again = restartInMs === 0 ? 'restarted at once' : `again in ${formatDuration(restartInMs)}`;
  if (exit.notStarted !== '') return `${who} cannot be started: ${exit.notStarted} (${again})`;
  const how = exit.signal === '' ? `ended with code ${exit.code}` : `was ended by ${exit.signal}`;
  if (role === 'app' && ADDRESS_IN_USE.test(exit.output)) {
    return `${who} ${how}: its address is in use (replicas share this machine: let it listen on its pod's address, from an env with fieldRef status.podIP, instead of 0.0.0.0; or run with --netns)`;
  }
  return `${who} ${how}, ${again} (output: ${logFile})`;
}
