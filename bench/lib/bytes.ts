/**
 * Opaque TCP: an application that sends as much as is taken, or one byte back, and the clients of both. The client says which with its
 * first byte. Run as a program it is the application: `bytes.ts ADDRESS PORT`.
 */
import { connect, createServer, type Socket } from 'node:net';
import type { LoadResult, Scenario, Target } from './scenario.ts';

const MORE = 'm';
const ONCE = 'o';
const PIECE = Buffer.alloc(262_144, 'x');
const MIB = 1_048_576;

function serve(address: string, port: number): void {
  createServer((socket) => {
    socket.on('error', () => undefined);
    socket.once('data', (first) => {
      if (first.toString('latin1') === ONCE) socket.end('x');
      else pour(socket);
    });
  }).listen(port, address);
}

function pour(socket: Socket): void {
  const go = (): void => {
    while (!socket.destroyed && socket.write(PIECE));
  };
  socket.on('drain', go);
  go();
}

/** `requests` are MiB, or connections. */
export async function loadOpaque(target: Target, scenario: Scenario, seconds: number): Promise<LoadResult> {
  const counts = { bytes: 0, connections: 0, failures: 0 };
  const times: number[] = [];
  const started = performance.now();
  const until = started + seconds * 1000;
  const run = scenario.protocol === 'bytes' ? download : knock;
  await Promise.all(Array.from({ length: scenario.connections }, () => run(target, until, counts, times)));
  const sorted = times.toSorted((a, b) => a - b);
  const at = (share: number): number => sorted[Math.floor(sorted.length * share)] ?? Number.NaN;
  return {
    requests: scenario.protocol === 'bytes' ? counts.bytes / MIB : counts.connections,
    failures: counts.failures,
    seconds: (performance.now() - started) / 1000,
    p50Ms: at(0.5),
    p99Ms: at(0.99),
  };
}

interface Counts {
  bytes: number;
  connections: number;
  failures: number;
}

function download(target: Target, until: number, counts: Counts): Promise<void> {
  return new Promise((resolve) => {
    const socket = connect(target.port, target.address, () => socket.write(MORE));
    socket.on('data', (chunk) => {
      counts.bytes += chunk.length;
      if (performance.now() > until) socket.destroy();
    });
    socket.on('error', () => counts.failures++);
    socket.on('close', () => resolve());
  });
}

/** One connection after the other. */
async function knock(target: Target, until: number, counts: Counts, times: number[]): Promise<void> {
  while (performance.now() < until) {
    const start = performance.now();
    const ok = await answersOnce(target);
    if (!ok) counts.failures++;
    counts.connections++;
    times.push(performance.now() - start);
  }
}

/** True when a byte comes back. */
export function answersOnce({ address, port }: Target): Promise<boolean> {
  return new Promise((resolve) => {
    let received = 0;
    const socket = connect(port, address, () => socket.write(ONCE));
    socket.setTimeout(5000, () => socket.destroy());
    socket.on('data', (chunk) => (received += chunk.length));
    socket.on('end', () => socket.end());
    socket.on('error', () => undefined);
    socket.on('close', () => resolve(received === 1));
  });
}

if (process.argv[1] === import.meta.filename) serve(process.argv[2] ?? '127.0.0.1', Number(process.argv[3]));
