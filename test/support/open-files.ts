/**
 * What a process has open, for people who look for what it forgot to close. Test-only, Linux.
 */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** `inode` to `local remote state`, in the hexadecimal of the kernel. */
function sockets(pid: number): Map<string, string> {
  const found = new Map<string, string>();
  for (const table of ['tcp', 'tcp6', 'udp', 'udp6']) {
    const [, ...lines] = readFileSync(`/proc/${pid}/net/${table}`, 'utf8').split('\n');
    for (const line of lines) {
      const [, local, remote, state, , , , , , inode] = line.trim().split(/\s+/);
      if (inode !== undefined) found.set(inode, `${table} ${local} ${remote} ${state}`);
    }
  }
  return found;
}

/** One word or more each, sorted. */
export function openFiles(pid: number): string[] {
  const bySocket = sockets(pid);
  const names = readdirSync(`/proc/${pid}/fd`).map((fd) => {
    try {
      const name = readlinkSync(`/proc/${pid}/fd/${fd}`);
      const inode = /^socket:\[(\d+)\]$/.exec(name)?.[1];
      return inode === undefined ? name : (bySocket.get(inode) ?? 'socket');
    } catch {
      return 'closed meanwhile';
    }
  });
  return names.toSorted();
}
