/**
 * Opaque connections: pick an endpoint, connect, then bytes both ways. A connection may be begun before its client is known to want it.
 * Knows nothing of what the bytes mean.
 */
import type { Socket } from 'node:net';
import type { Clock, Timer } from '#base/clock.ts';
import type { Random } from '#base/random.ts';
import { OPAQUE_PROTOCOLS, openSocket, type Target } from '../net/connect.ts';
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

/** What a connection that nobody has joined yet tells. */
export interface TcpUpstreamEvents {
  /** The server spoke first, or ended its side; what it said is unread. */
  readonly onSpeaks: () => void;
  /** No endpoint could be reached, or the one that was has reset the connection. */
  readonly onLost: (wasReached: boolean) => void;
}

interface Try {
  readonly target: Target;
  readonly timeoutMs: number;
  /** Called once, when this connection is over or did not come about. */
  readonly release: () => void;
}

/** Endpoints tried before the client is refused. */
const MAX_TRIES = 3;

const ignore = (): void => undefined;

/** A connection to one of several endpoints, whoever takes it first. */
export class TcpUpstream {
  readonly #nextTry: () => Try | null;
  readonly #env: TcpEnv;
  readonly #events: TcpUpstreamEvents | null;
  #state: 'connecting' | 'ready' | 'joined' | 'over' = 'connecting';
  #socket: Socket | null = null;
  #timer: Timer | null = null;
  #release: () => void = ignore;
  #client: Socket | null = null;
  #early: Buffer | null = null;

  /** Begins to connect. `events` may be told before this returns. */
  constructor(nextTry: () => Try | null, env: TcpEnv, events: TcpUpstreamEvents | null) {
    this.#nextTry = nextTry;
    this.#env = env;
    this.#events = events;
    this.#connect();
  }

  /**
   * Joins `client` to the server, now or as soon as it is reached; a client that cannot be served gets a reset.
   * @param early bytes that were read from the client already and cannot be put back
   */
  join(client: Socket, early: Buffer | null): void {
    if (this.#state === 'over') resetSocket(client);
    else if (client.destroyed) this.drop();
    else {
      this.#client = client;
      this.#early = early;
      if (this.#state === 'ready') this.#pipe(client);
      else client.once('close', this.#onClientClose);
    }
  }

  /** Nobody wants it. */
  drop(): void {
    if (this.#state === 'over' || this.#state === 'joined') return;
    this.#unwatch();
    this.#state = 'over';
    this.#letGo();
  }

  readonly #onClientClose = (): void => this.drop();

  #connect(): void {
    const next = this.#nextTry();
    if (next === null) {
      this.#lose(false);
      return;
    }
    this.#release = next.release;
    const opened = openSocket(next.target, this.#env.tls, OPAQUE_PROTOCOLS);
    if (opened === null) {
      this.#again();
      return;
    }
    this.#socket = opened.socket;
    this.#timer = this.#env.clock.after(next.timeoutMs, this.#again);
    opened.socket.once('error', this.#again);
    opened.socket.once(opened.ready, () => this.#onReady(opened.socket));
  }

  readonly #again = (): void => {
    this.#letGo();
    this.#connect();
  };

  #letGo(): void {
    this.#timer?.cancel();
    this.#socket?.off('error', this.#again).on('error', ignore).destroy();
    this.#socket = null;
    this.#release();
    this.#release = ignore;
  }

  #onReady(socket: Socket): void {
    if (socket !== this.#socket) return;
    this.#timer?.cancel();
    socket.off('error', this.#again).on('error', ignore);
    this.#state = 'ready';
    if (this.#client !== null) this.#pipe(this.#client);
    else socket.on('data', this.#onData).on('end', this.#onEnd).on('close', this.#onClose);
  }

  #pipe(client: Socket): void {
    const { onBytes } = this.#env;
    const socket = this.#socket as Socket;
    this.#unwatch();
    this.#state = 'joined';
    client.off('close', this.#onClientClose);
    pipe(client, socket, this.#early, ({ sent, received }) => {
      onBytes(sent, received);
      this.#release();
    });
    this.#early = null;
  }

  // --- while nobody has joined ------------------------------------------------------------------------------------

  #unwatch(): void {
    this.#socket?.off('data', this.#onData).off('end', this.#onEnd).off('close', this.#onClose);
  }

  readonly #onData = (chunk: Buffer): void => {
    this.#socket?.off('data', this.#onData).pause().unshift(chunk);
    this.#events?.onSpeaks();
  };

  readonly #onEnd = (): void => this.#events?.onSpeaks();

  readonly #onClose = (): void => this.#lose(true);

  #lose(wasReached: boolean): void {
    this.#state = 'over';
    this.#letGo();
    if (this.#client === null) this.#events?.onLost(wasReached);
    else {
      this.#client.off('close', this.#onClientClose);
      resetSocket(this.#client);
    }
  }
}

/** Connects to endpoints of `cluster`, another one when one cannot be reached; within the cluster's limit of connections. */
export function connectTcp(cluster: Cluster, env: TcpEnv, events: TcpUpstreamEvents | null): TcpUpstream {
  const tried: Endpoint[] = [];
  const nextTry = (): Try | null => {
    if (tried.length >= MAX_TRIES) return null;
    const endpoint = cluster.picker.pick(env.clock.now(), env.random, tried);
    if (endpoint === null || !cluster.openTcp()) return null;
    tried.push(endpoint);
    endpoint.inFlight++;
    const release = (): void => {
      endpoint.inFlight--;
      cluster.closeTcp();
    };
    return { target: endpoint.target, timeoutMs: cluster.config.connectTimeoutMs, release };
  };
  return new TcpUpstream(nextTry, env, events);
}

/** Joins `client` to an endpoint of `cluster`; with none reachable, or too many connections, the client gets a reset. */
export function forwardTcp(client: Socket, cluster: Cluster, env: TcpEnv, early: Buffer | null): void {
  if (!client.destroyed) connectTcp(cluster, env, null).join(client, early);
}

/** Connects to one address, in plaintext. */
export function connectAddress(
  address: string,
  port: number,
  timeoutMs: number,
  env: TcpEnv,
  events: TcpUpstreamEvents | null,
): TcpUpstream {
  let isTried = false;
  const nextTry = (): Try | null => {
    if (isTried) return null;
    isTried = true;
    const target: Target = { address, port, mtls: false, serverName: '', identities: [] };
    return { target, timeoutMs, release: ignore };
  };
  return new TcpUpstream(nextTry, env, events);
}

/** Joins `client` to an address outside the mesh, as the application meant it. */
export function passThrough(client: Socket, address: string, port: number, timeoutMs: number, env: TcpEnv): void {
  if (!client.destroyed) connectAddress(address, port, timeoutMs, env, null).join(client, null);
}
