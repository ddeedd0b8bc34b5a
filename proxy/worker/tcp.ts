/**
 * Opaque connections: pick an endpoint, connect, then bytes both ways.
 * Knows nothing of what the bytes mean.
 */
import type { Socket } from 'node:net';
import type { Clock } from '#base/clock.ts';
import type { Random } from '#base/random.ts';
import { openSocket, type Target } from '../net/connect.ts';
import { pipe } from '../net/pipe.ts';
import { resetSocket } from '../net/reset.ts';
import type { MeshTls } from '../net/tls.ts';
import type { Cluster, Endpoint } from './cluster.ts';

export interface TcpEnv {
  readonly clock: Clock;
  readonly random: Random;
  readonly tls: MeshTls;
  readonly onBytes: (sent: number, received: number) => void;
}

/** Endpoints tried before the client is refused. */
const MAX_TRIES = 3;

/**
 * Joins `client` to an endpoint of `cluster`; with none reachable, or too many connections, the client gets a reset.
 * @param early bytes that were read from the client already
 */
export function forwardTcp(
  client: Socket,
  cluster: Cluster,
  env: TcpEnv,
  early: Buffer | null,
  tried: readonly Endpoint[] = [],
): void {
  if (client.destroyed) return;
  const endpoint = cluster.picker.pick(env.clock.now(), env.random, tried);
  if (endpoint === null || tried.length >= MAX_TRIES || !cluster.openTcp()) {
    resetSocket(client);
    return;
  }
  endpoint.inFlight++;
  const release = (): void => {
    endpoint.inFlight--;
    cluster.closeTcp();
  };
  connectAndPipe(client, endpoint.target, cluster.config.connectTimeoutMs, early, env, {
    onFailed: () => {
      release();
      forwardTcp(client, cluster, env, early, [...tried, endpoint]);
    },
    onEnd: release,
  });
}

/** Joins `client` to an address outside the mesh, as the application meant it. */
export function passThrough(
  client: Socket,
  address: string,
  port: number,
  connectTimeoutMs: number,
  env: TcpEnv,
): void {
  const target: Target = { address, port, mtls: false, serverName: '', identities: [] };
  connectAndPipe(client, target, connectTimeoutMs, null, env, {
    onFailed: () => resetSocket(client),
    onEnd: () => undefined,
  });
}

interface Outcome {
  readonly onFailed: () => void;
  readonly onEnd: () => void;
}

function connectAndPipe(
  client: Socket,
  target: Target,
  timeoutMs: number,
  early: Buffer | null,
  env: TcpEnv,
  outcome: Outcome,
): void {
  const opened = openSocket(target, env.tls);
  if (opened === null) {
    outcome.onFailed();
    return;
  }
  const { socket, ready } = opened;
  let settled = false;
  const fail = (): void => {
    if (settled) return;
    settled = true;
    timer.cancel();
    socket.destroy();
    client.off('close', onClientClose);
    outcome.onFailed();
  };
  const onClientClose = (): void => {
    if (settled) return;
    settled = true;
    timer.cancel();
    socket.destroy();
    outcome.onEnd();
  };
  const timer = env.clock.after(timeoutMs, fail);
  socket.once('error', fail);
  client.once('close', onClientClose);
  socket.once(ready, () => {
    if (settled) return;
    settled = true;
    timer.cancel();
    client.off('close', onClientClose);
    pipe(client, socket, early, (end) => {
      env.onBytes(end.sent, end.received);
      outcome.onEnd();
    });
  });
}
