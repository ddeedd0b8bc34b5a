/**
 * How the endpoints of a cluster are asked whether they are well: over connections of the checks' own, opened as those of requests are,
 * so that the peer sees the same client and no limit of requests holds a check up. Knows neither intervals nor what follows.
 */
import { LocalTally } from '#base/tally.ts';
import type { CheckFailure, Probe } from '../balancing/health.ts';
import type { HealthCheckConfig } from '../config/endpoint-health.ts';
import { classifyConnectError, HTTP_PROTOCOLS, openSocket, type Target } from '../net/connect.ts';
import type { MeshTls } from '../net/tls.ts';
import { checkByRequest } from '../upstream/health-check.ts';
import type { ClusterCounts, EndpointPool, PoolMeters } from '../upstream/pool.ts';

const ignore = (): void => undefined;
/** Connections of checks are counted nowhere. */
const NO_METERS: PoolMeters = {
  connectionOpened: ignore,
  connectionClosed: ignore,
  connectFailed: ignore,
  abused: ignore,
};

/** What requests go over; `http2` whatever the cluster speaks. */
export type MakePool = (counts: ClusterCounts, meters: PoolMeters, http2: boolean) => EndpointPool;

export class EndpointProbe implements Probe {
  readonly #target: Target;
  readonly #tls: MeshTls;
  readonly #makePool: MakePool;
  #pool: EndpointPool | null = null;
  #isGrpc = false;

  constructor(target: Target, tls: MeshTls, makePool: MakePool) {
    this.#target = target;
    this.#tls = tls;
    this.#makePool = makePool;
  }

  check({ check }: HealthCheckConfig, done: (failure: CheckFailure | null) => void): () => void {
    if (check.kind === 'tcp') return checkByConnection(this.#target, this.#tls, done);
    const isGrpc = check.kind === 'grpc';
    if (isGrpc !== this.#isGrpc) this.close();
    this.#isGrpc = isGrpc;
    this.#pool ??= this.#makePool(unlimited(), NO_METERS, isGrpc);
    return checkByRequest(this.#pool, check, this.#target.origination ? 'https' : 'http', done);
  }

  close(): void {
    this.#pool?.close();
    this.#pool = null;
  }
}

function unlimited(): ClusterCounts {
  return {
    connections: new LocalTally(),
    pending: new LocalTally(),
    maxConnections: Infinity,
    maxPending: Infinity,
  };
}

function checkByConnection(target: Target, tls: MeshTls, done: (failure: CheckFailure | null) => void): () => void {
  const opened = openSocket(target, tls, HTTP_PROTOCOLS);
  // The time of the check ends it.
  if (opened === null) return ignore;
  const { socket, ready } = opened;
  let isOver = false;
  const over = (failure: CheckFailure | null): void => {
    if (isOver) return;
    isOver = true;
    socket.destroy();
    done(failure);
  };
  socket.once(ready, () => over(null));
  socket.on('error', (error: NodeJS.ErrnoException) => {
    const { kind, detail } = classifyConnectError(error);
    over({ kind: 'network_failure', detail: `${kind}: ${detail}` });
  });
  socket.once('close', () => over({ kind: 'network_failure', detail: 'the connection was closed' }));
  return () => {
    isOver = true;
    socket.destroy();
  };
}
