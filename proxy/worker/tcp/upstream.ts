/**
 * One way from a client's bytes to an endpoint: connect, to another endpoint when the first cannot be reached, then bytes both ways until an end.
 * It may be begun before its client is known to want it. Knows nothing of what the bytes mean, nor who chose the endpoints.
 */
import type { Socket } from 'node:net';
import type { Clock, Timer } from '#base/clock.ts';
import type { Random } from '#base/random.ts';
import type { TimerWheel } from '#base/timer-wheel.ts';
import type { FailureKind } from '../../exchange/failure.ts';
import {
  classifyConnectError,
  OPAQUE_PROTOCOLS,
  openSocket,
  type ConnectFailure,
  type Target,
} from '../../net/connect.ts';
import { pipe } from '../../net/pipe.ts';
import { resetSocket } from '../../net/reset.ts';
import type { MeshTls } from '../../net/tls.ts';
import type { TcpConnection } from './connection.ts';
import { IdleWatch } from './idle.ts';

export interface TcpEnv {
  readonly clock: Clock;
  readonly random: Random;
  readonly wheel: TimerWheel;
  readonly tls: MeshTls;
  /** Seconds of silence after which TCP asks a peer whether it is there, in milliseconds; 0: never. */
  readonly keepAliveMs: number;
  /** How long a connection waits for a first endpoint, as a request does. */
  readonly endpointWaitMs: number;
  /** The stack is being closed: connections that end now were cut by us. */
  readonly isClosing: () => boolean;
}

/** What a connection that nobody has joined yet tells. */
export interface TcpUpstreamEvents {
  /** The server spoke first, or ended its side; what it said is unread. */
  readonly onSpeaks: () => void;
  /** No endpoint could be reached, or the one that was has reset the connection. */
  readonly onLost: (wasReached: boolean) => void;
}

/** One endpoint to try. */
export interface Try {
  readonly target: Target;
  readonly timeoutMs: number;
  /** The connection stands. */
  readonly onReached: () => void;
  readonly onFailed: (kind: ConnectFailure) => void;
  /** Called once, when this connection is over or did not come about. */
  readonly release: () => void;
}

/** Where a connection may go. */
export interface TcpTarget {
  /** Of the cluster, for counters and logs. */
  readonly name: string;
  /** Milliseconds without a byte either way until an end; 0: never. */
  readonly idleTimeoutMs: number;
  /** Another endpoint, or why there is none. Asked again after each one that could not be reached. */
  readonly nextTry: () => Try | FailureKind;
  /** Calls back whenever there may be an endpoint that was not there before, until what it returns is called. Null: none will come. */
  readonly wait: (onEndpoints: () => void) => (() => void) | null;
}

const ignore = (): void => undefined;

/** Whoever closes without having ended both ways was cut off. */
function isCut(socket: Socket): boolean {
  return !socket.readableEnded || !socket.writableFinished;
}

/** A connection to one of several endpoints, whoever takes it first. */
export class TcpUpstream {
  readonly #target: TcpTarget;
  readonly #env: TcpEnv;
  readonly #events: TcpUpstreamEvents | null;
  #state: 'connecting' | 'ready' | 'joined' | 'over' = 'connecting';
  #socket: Socket | null = null;
  #timer: Timer | null = null;
  #try: Try | null = null;
  #attempts = 0;
  /** Ends the wait for a first endpoint; null: none is waited for. */
  #stopWaiting: (() => void) | null = null;
  #hasWaited = false;
  /** Why the last try failed, or why this is over. */
  #failure: FailureKind = 'connect-failure';
  #client: TcpConnection | null = null;
  #early: Buffer | null = null;
  /** Why a joined connection ended; empty: both sides ended well. */
  #cause: FailureKind | '' = '';

  /** Begins to connect. `events` may be told before this returns. */
  constructor(target: TcpTarget, env: TcpEnv, events: TcpUpstreamEvents | null) {
    this.#target = target;
    this.#env = env;
    this.#events = events;
    this.#connect();
  }

  /**
   * Joins `client` to the server, now or as soon as it is reached; a client that cannot be served gets a reset.
   * @param early bytes that were read from the client already and cannot be put back
   */
  join(client: TcpConnection, early: Buffer | null): void {
    client.cluster = this.#target.name;
    this.#client = client;
    if (this.#state === 'over') this.#refuse(client);
    else if (client.socket.destroyed) this.#onClientClose();
    else {
      this.#early = early;
      if (this.#state === 'ready') this.#pipe(client);
      else client.socket.once('close', this.#onClientClose);
    }
  }

  /** Nobody wants it. */
  drop(): void {
    if (this.#state === 'over' || this.#state === 'joined') return;
    this.#unwatch();
    this.#state = 'over';
    this.#letGo();
  }

  readonly #onClientClose = (): void => {
    this.drop();
    if (this.#client !== null) this.#end(this.#client, this.#env.isClosing() ? 'draining' : 'downstream-reset', 0, 0);
  };

  // --- connecting -------------------------------------------------------------------------------------------------

  #connect(): void {
    const next = this.#target.nextTry();
    if (next === 'no-healthy-endpoint' && this.#waits()) return;
    this.#endWait();
    if (typeof next === 'string') {
      // After a try, why that failed says more than that there is no other endpoint.
      if (this.#attempts === 0) this.#failure = next;
      this.#lose(false);
      return;
    }
    this.#attempts++;
    this.#try = next;
    const opened = openSocket(next.target, this.#env.tls, OPAQUE_PROTOCOLS);
    if (opened === null) {
      this.#failed('tls-failure');
      return;
    }
    this.#socket = opened.socket;
    this.#timer = this.#env.clock.after(next.timeoutMs, this.#onTimeout);
    opened.socket.once('error', this.#onError);
    opened.socket.once(opened.ready, () => this.#onReady(opened.socket));
  }

  /** There is no endpoint yet: the first one that comes in time is taken. False: the time is over, or an endpoint was tried already. */
  #waits(): boolean {
    if (this.#stopWaiting !== null) return true;
    if (this.#hasWaited || this.#attempts > 0) return false;
    const cancel = this.#target.wait(() => this.#connect());
    if (cancel === null) return false;
    this.#hasWaited = true;
    const timer = this.#env.clock.after(this.#env.endpointWaitMs, () => {
      this.#endWait();
      this.#connect();
    });
    this.#stopWaiting = () => {
      timer.cancel();
      cancel();
    };
    return true;
  }

  #endWait(): void {
    this.#stopWaiting?.();
    this.#stopWaiting = null;
  }

  readonly #onError = (error: Error): void => this.#failed(classifyConnectError(error).kind);
  readonly #onTimeout = (): void => this.#failed('connect-timeout');

  #failed(kind: ConnectFailure): void {
    this.#failure = kind;
    this.#try?.onFailed(kind);
    this.#letGo();
    this.#connect();
  }

  #letGo(): void {
    this.#endWait();
    this.#timer?.cancel();
    this.#socket?.off('error', this.#onError).on('error', ignore).destroy();
    this.#socket = null;
    this.#release();
  }

  #release(): void {
    this.#try?.release();
    this.#try = null;
  }

  #onReady(socket: Socket): void {
    if (socket !== this.#socket) return;
    this.#timer?.cancel();
    socket.off('error', this.#onError).on('error', ignore);
    this.#try?.onReached();
    this.#state = 'ready';
    if (this.#client !== null) this.#pipe(this.#client);
    else socket.on('data', this.#onData).on('end', this.#onEnd).on('close', this.#onClose);
  }

  // --- joined -----------------------------------------------------------------------------------------------------

  #pipe(client: TcpConnection): void {
    const { wheel } = this.#env;
    const socket = this.#socket as Socket;
    const target = this.#try?.target;
    this.#unwatch();
    this.#state = 'joined';
    client.upstream = target === undefined ? '' : `${target.address}:${target.port}`;
    client.upstreamIdentity = target?.mtls === true ? target.identities.join() : '';
    client.socket.off('close', this.#onClientClose);
    // Before the pipe's own, which hand an end on: whoever ends first is the cause.
    client.socket.once('close', () => this.#noteCut(client.socket, 'downstream-reset'));
    socket.once('close', () => this.#noteCut(socket, 'upstream-reset'));
    const idle = this.#watchIdle(client.socket, socket);
    pipe(client.socket, socket, this.#early, ({ sent, received }) => {
      if (idle !== null) wheel.cancel(idle);
      this.#release();
      this.#end(client, this.#cause, sent, received);
    });
    this.#early = null;
  }

  #noteCut(socket: Socket, cause: FailureKind): void {
    if (this.#cause === '' && isCut(socket)) this.#cause = this.#env.isClosing() ? 'draining' : cause;
  }

  #watchIdle(client: Socket, socket: Socket): IdleWatch | null {
    const { idleTimeoutMs } = this.#target;
    if (idleTimeoutMs === 0) return null;
    return new IdleWatch(client, socket, idleTimeoutMs, this.#env, () => {
      this.#cause = 'idle-timeout';
      resetSocket(client);
      resetSocket(socket);
    });
  }

  #end(client: TcpConnection, cause: FailureKind | '', sent: number, received: number): void {
    client.attempts = this.#attempts;
    client.end(cause, sent, received);
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

  readonly #onClose = (): void => {
    this.#failure = 'upstream-reset';
    this.#lose(true);
  };

  #lose(wasReached: boolean): void {
    this.#state = 'over';
    this.#letGo();
    if (this.#client === null) this.#events?.onLost(wasReached);
    else this.#refuse(this.#client);
  }

  #refuse(client: TcpConnection): void {
    client.socket.off('close', this.#onClientClose);
    client.attempts = this.#attempts;
    client.refuse(this.#failure);
  }
}
