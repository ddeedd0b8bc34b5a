/**
 * The HTTP connections of clients in one direction: made, counted, drained.
 * Knows no route: each request becomes a forwarding, and `route` sends it on its way.
 */
import type { Socket } from 'node:net';
import type { Clock } from '#base/clock.ts';
import type { TimerWheel } from '#base/timer-wheel.ts';
import { H1Server } from '../downstream/h1-server.ts';
import { DEFAULT_H2_SERVER_TUNING, H2Server, type H2ServerTuning } from '../downstream/h2-server.ts';
import type { Patience, Stall } from '../downstream/patience.ts';
import type { DownstreamPeer } from '../exchange/exchange.ts';
import type { Failure } from '../exchange/failure.ts';
import type { DownstreamStream } from '../exchange/stream.ts';
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
  readonly patience: Patience;
  readonly context: ForwardContext;
  readonly meters: Meters;
}

/** Upgrades travel as extended CONNECT. */
const PLAIN_TUNING: H2ServerTuning = { ...DEFAULT_H2_SERVER_TUNING, extendedConnect: true };

/**
 * A peer's sidecar carries all its application's requests on one connection: room for more streams that stand still, and patience with
 * an application that gives up many at once. Strangers get the defaults.
 */
const MESH_TUNING: H2ServerTuning = {
  ...PLAIN_TUNING,
  connectionWindowBytes: 8 * 1024 * 1024,
  abuse: { ...DEFAULT_H2_SERVER_TUNING.abuse, resets: { burst: 10_000, perSecond: 330 } },
};

/** Sends a request to where its connection leads. */
export type RouteRequest = (forwarding: Forwarding, head: RequestHead) => void;

export class HttpConnections {
  readonly #env: HttpConnectionsEnv;
  readonly #open = new Set<H1Server | H2Server>();
  #draining = false;

  constructor(env: HttpConnectionsEnv) {
    this.#env = env;
  }

  get size(): number {
    return this.#open.size;
  }

  /** @param version of HTTP, as ALPN or the first bytes said */
  serve(socket: Socket, version: 1 | 2, peer: DownstreamPeer, route: RouteRequest): void {
    const env = this.#env;
    const { direction } = env.context;
    const security = peer.identity === '' ? 'none' : 'mutual_tls';
    const gauge = env.meters.connections.with(direction, security);
    gauge.inc();
    env.meters.connectionsOpened.with(direction, security).inc();
    const options = {
      clock: env.clock,
      wheel: env.wheel,
      limits: env.limits,
      headTimeoutMs: env.headTimeoutMs,
      idleTimeoutMs: env.idleTimeoutMs,
      patience: env.patience,
      onStalled: (stall: Stall) => env.meters.stalls.with(direction, stall).inc(),
      onRequest: (stream: DownstreamStream, head: RequestHead) => this.#onRequest(stream, peer, head, route),
      onRefused: (failure: Failure) => env.meters.refused.with(direction, failure.kind).inc(),
      onClose: (connection: H1Server | H2Server) => {
        gauge.add(-1);
        this.#open.delete(connection);
      },
    };
    const connection =
      version === 1
        ? new H1Server(socket, options)
        : new H2Server(socket, {
            ...options,
            tuning: peer.identity === '' ? PLAIN_TUNING : MESH_TUNING,
            onAbuse: (reason) => env.meters.abuse.with('downstream', reason).inc(),
          });
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

  #onRequest(stream: DownstreamStream, peer: DownstreamPeer, head: RequestHead, route: RouteRequest): Forwarding {
    const forwarding = new Forwarding(this.#env.context, stream, peer, head);
    if (this.#draining) stream.closeAfter();
    const { maxBodyBytes } = this.#env.context;
    if (head.method === 'CONNECT') forwarding.fail('connect-not-supported', 'CONNECT is not supported');
    else if (maxBodyBytes > 0 && head.body.kind === 'length' && head.body.length > maxBodyBytes) {
      forwarding.fail('payload-too-large', `the body is longer than ${maxBodyBytes} bytes`, 'downstream');
    } else route(forwarding, head);
    return forwarding;
  }
}
