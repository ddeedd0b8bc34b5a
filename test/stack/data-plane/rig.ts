/**
 * A worker between raw clients and raw upstreams, for one destination `echo:80`; what it counts can be read and must come back to zero.
 * Test-only.
 */
import { readdirSync } from 'node:fs';
import type { Test } from 'tap';
import type { ClusterConfig, RouteConfig } from '../../../proxy/config/snapshot.ts';
import type { WorkerSettings } from '../../../proxy/worker/messages.ts';
import { openWire, rawUpstream, type RawUpstream, type Wire } from '../../support/raw-http.ts';
import { cluster, destination, endpoint, settings, startWorker, type TestWorker } from '../../support/worker.ts';

export type Behaviour = (wire: Wire, index: number) => void;

export interface Rig {
  readonly upstreams: readonly RawUpstream[];
  readonly worker: TestWorker;
  readonly port: number;
  connect(): Promise<Wire>;
}

export interface RigOptions {
  readonly cluster?: Partial<ClusterConfig>;
  readonly routes?: readonly RouteConfig[];
  readonly settings?: Partial<WorkerSettings>;
  readonly limits?: Partial<WorkerSettings['limits']>;
}

export async function rig(t: Test, behaviours: readonly Behaviour[], options: RigOptions = {}): Promise<Rig> {
  const upstreams: RawUpstream[] = [];
  for (const behaviour of behaviours) upstreams.push(await rawUpstream(behaviour));
  const endpoints = upstreams.map((upstream) => endpoint(upstream.port));
  const answer = destination('echo:80', cluster('echo:80', endpoints, options.cluster), options.routes);
  const worker = await startWorker(
    {
      explicitListens: [{ name: 'echo:80', address: '127.0.0.1', port: 0 }],
      ...options.settings,
      limits: { ...settings().limits, ...options.limits },
    },
    new Map([['echo:80', answer]]),
  );
  const port = await worker.port('echo:80');
  const clients: Wire[] = [];
  t.teardown(async () => {
    for (const client of clients) client.socket.destroy();
    for (const upstream of upstreams) upstream.close();
    await worker.close();
  });
  return {
    upstreams,
    worker,
    port,
    connect: async () => {
      const client = await openWire(port);
      clients.push(client);
      return client;
    },
  };
}

/** Everything of a worker that counts what is under way; all of it 0 when nothing is. */
export function underWay(worker: TestWorker): Record<string, number> {
  const { clusters, connections } = worker.worker.describe();
  const sum = (read: (c: (typeof clusters)[number]) => number): number =>
    clusters.reduce((total, c) => total + read(c), 0);
  return {
    downstream: connections.inbound + connections.outbound,
    activeRequests: sum((c) => c.activeRequests),
    pendingRequests: sum((c) => c.pendingRequests),
    inFlight: sum((c) => c.endpoints.reduce((total, e) => total + e.inFlight, 0)),
  };
}

export const NOTHING = { downstream: 0, activeRequests: 0, pendingRequests: 0, inFlight: 0 };

/** Looks again at each turn of the event loop until it holds; gives up loudly. */
export async function until(holds: () => boolean, what: string, limitMs = 10_000): Promise<void> {
  const giveUp = performance.now() + limitMs;
  while (!holds()) {
    if (performance.now() > giveUp) throw new Error(`in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

/** Sockets that this process has open. */
export function openSockets(): number {
  return process.getActiveResourcesInfo().filter((kind) => kind === 'TCPSocketWrap').length;
}

export function descriptors(): number {
  return readdirSync('/proc/self/fd').length;
}

export const GET = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n';
