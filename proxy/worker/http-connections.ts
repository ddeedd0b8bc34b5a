/**
 * The HTTP connections of clients in one direction: made, counted, drained.
 * Knows no route: each request becomes a forwarding, and `route` sends it on its way.
 */
import type { Socket } from 'node:net';
import type { Clock } from '#base/clock.ts';
import type { TimerWheel } from '#base/timer-wheel.ts';
import { H1Server, type H1ServerOptions } from '../downstream/h1-server.ts';
import type { DownstreamPeer } from '../exchange/exchange.ts';
import type { ForwardContext } from '../forwarding/context.ts';
import { Forwarding } from '../forwarding/forward.ts';
import type { HeadLimits, RequestHead } from '../http/message.ts';
import type { Meters } from './meters.ts';

export interface HttpConnectionsEnv {
  readonly clock: Clock;
  readonly wheel: TimerWheel;
  readonly limits: HeadLimits;
  readonly headTimeoutMs: number;
  readonly idleTimeoutMs: number;
  readonly context: ForwardContext;
  readonly meters: Meters;
}

/** Sends a request to where its connection leads. */
export type RouteRequest = (forwarding: Forwarding, head: RequestHead) => void;

export class HttpConnections {
  readonly #env: HttpConnectionsEnv;
  readonly #open = new Set<H1Server>();
  #draining = false;

  constructor(env: HttpConnectionsEnv) {
    this.#env = env;
  }

  get size(): number {
    return this.#open.size;
  }

  serve(socket: Socket, peer: DownstreamPeer, route: RouteRequest): void {
    const env = this.#env;
    const { direction } = env.context;
    const security = peer.identity === '' ? 'none' : 'mutual_tls';
    const gauge = env.meters.connections.with(direction, security);
    gauge.inc();
    env.meters.connectionsOpened.with(direction, security).inc();
    const options: H1ServerOptions = {
      clock: env.clock,
      wheel: env.wheel,
      limits: env.limits,
      headTimeoutMs: env.headTimeoutMs,
      idleTimeoutMs: env.idleTimeoutMs,
      onRequest: (connection, head) => this.#onRequest(connection, peer, head, route),
      onRefused: (failure) => env.meters.refused.with(direction, failure.kind).inc(),
      onClose: (connection) => {
        gauge.add(-1);
        this.#open.delete(connection);
      },
    };
    const connection = new H1Server(socket, options);
    this.#open.add(connection);
    if (this.#draining) connection.drain();
  }

  /** Idle connections close, busy ones after their answer. */
  drain(): void {
    this.#draining = true;
    for (const connection of this.#open) connection.drain();
  }

  destroy(): void {
    for (const connection of this.#open) connection.destroy();
  }

  #onRequest(connection: H1Server, peer: DownstreamPeer, head: RequestHead, route: RouteRequest): Forwarding {
    const forwarding = new Forwarding(this.#env.context, connection, peer, head);
    if (this.#draining) connection.closeAfter();
    const { maxBodyBytes } = this.#env.context;
    if (head.method === 'CONNECT') forwarding.fail('connect-not-supported', 'CONNECT is not supported');
    else if (maxBodyBytes > 0 && head.body.kind === 'length' && head.body.length > maxBodyBytes) {
      forwarding.fail('payload-too-large', `the body is longer than ${maxBodyBytes} bytes`, 'downstream');
    } else route(forwarding, head);
    return forwarding;
  }
}
