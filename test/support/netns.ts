/**
 * Network namespaces for tests that need real iptables: whether this machine lets us have them, and one that goes away with its test.
 */
import { execFileSync, spawnSync, type SpawnSyncReturns } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { findTool } from './tools.ts';

/** Why there can be none here; false when they can be had. In the form that tap's `skip` wants. */
export function namespacesMissing(...tools: readonly string[]): string | false {
  if (process.platform !== 'linux') return 'network namespaces are Linux only';
  if (process.getuid?.() !== 0) return 'needs root for network namespaces';
  const missing = ['ip', 'iptables', 'ip6tables', ...tools].filter((tool) => findTool(tool) === null);
  if (missing.length > 0) return `not installed: ${missing.join(', ')}`;
  const probe = spawnSync('unshare', ['--net', 'iptables', '-t', 'nat', '-S']);
  return probe.status === 0 ? false : 'this kernel gives no nat table in a network namespace';
}

export interface TestNamespace {
  readonly name: string;
  /** Runs a program inside and waits for its end. */
  run(program: string, ...args: readonly string[]): SpawnSyncReturns<string>;
  remove(): void;
}

/** A namespace with a loopback, and an interface that takes every route and leads nowhere. */
export function openNamespace(): TestNamespace {
  const name = `tulle-test-${randomBytes(3).toString('hex')}`;
  execFileSync('ip', ['netns', 'add', name]);
  const lines = [
    'link set lo up',
    'link add eth0 type veth peer name eth1',
    'addr add 10.11.12.1/24 dev eth0',
    'addr add fd11::1/64 dev eth0 nodad',
    'link set eth0 up',
    'link set eth1 up',
    'route add default via 10.11.12.2',
    '-6 route add default via fd11::2',
  ];
  for (const line of lines) {
    const words = line.split(' ');
    execFileSync('ip', words[0] === '-6' ? ['-6', '-n', name, ...words.slice(1)] : ['-n', name, ...words]);
  }
  return {
    name,
    run: (program, ...args) => spawnSync('ip', ['netns', 'exec', name, program, ...args], { encoding: 'utf8' }),
    remove: () => void spawnSync('ip', ['netns', 'del', name]),
  };
}
