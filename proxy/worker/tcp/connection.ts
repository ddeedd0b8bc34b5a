/**
 * What is known, counted and logged of one opaque connection of a client, from the moment that it is known to be one until its end.
 * Knows no endpoint beyond its name, and nothing of how bytes move.
 */
import type { Socket } from 'node:net';
import type { Clock } from '#base/clock.ts';
import { FAILURES, type FailureKind } from '../../exchange/failure.ts';
import { resetSocket } from '../../net/reset.ts';
import type { Counter, Gauge } from '../../telemetry/cells.ts';
import { formatTcpAccess } from '../../telemetry/tcp-access-log.ts';
import type { Meters } from '../meters.ts';

/** What the stack knows when it takes a connection for opaque. */
export interface TcpOrigin {
  /** SPIFFE ID that the client proved; empty in plaintext. */
  readonly identity: string;
  /** Of the TLSRoute or TCPRoute, else of the filter chain. */
  readonly routeName: string;
  /** That the application's own TLS asked for. It is the client's text: for the log only. */
  readonly serverName: string;
}

export const NO_ORIGIN: TcpOrigin = { identity: '', routeName: '', serverName: '' };

/** Counts and logs opaque connections of one direction. */
export class TcpTelemetry {
  readonly #direction: 'inbound' | 'outbound';
  readonly #meters: Meters;
  readonly #clock: Clock;
  readonly #writeAccess: ((line: string) => void) | null;
  readonly #open: Gauge;
  readonly #sent: Counter;
  readonly #received: Counter;

  constructor(
    direction: 'inbound' | 'outbound',
    meters: Meters,
    clock: Clock,
    writeAccess: ((line: string) => void) | null,
  ) {
    this.#direction = direction;
    this.#meters = meters;
    this.#clock = clock;
    this.#writeAccess = writeAccess;
    this.#open = meters.tcpConnections.with(direction);
    this.#sent = meters.tcpBytes.with(direction, 'sent');
    this.#received = meters.tcpBytes.with(direction, 'received');
  }

  /** Counted as open from now on. */
  begin(socket: Socket, origin: TcpOrigin): TcpConnection {
    this.#open.inc();
    return new TcpConnection(socket, origin, this.#clock.now(), this);
  }

  ended(connection: TcpConnection, cause: FailureKind | '', sent: number, received: number): void {
    const flag = cause === '' ? '-' : FAILURES[cause].flag;
    this.#open.add(-1);
    this.#sent.add(sent);
    this.#received.add(received);
    this.#meters.tcpConnectionsEnded.with(this.#direction, connection.cluster, flag, cause).inc();
    if (this.#writeAccess === null) return;
    const durationMs = this.#clock.now() - connection.startMs;
    this.#writeAccess(
      formatTcpAccess({
        startWallMs: this.#clock.wall() - durationMs,
        direction: this.#direction,
        responseFlags: flag,
        reason: cause,
        durationMs,
        upstreamHost: connection.upstream,
        upstreamCluster: connection.cluster,
        routeName: connection.origin.routeName,
        serverName: connection.origin.serverName,
        attempts: connection.attempts,
        bytesReceived: sent,
        bytesSent: received,
        downstreamPeer: connection.origin.identity,
        upstreamPeer: connection.upstreamIdentity,
        downstreamAddress: connection.address,
      }),
    );
  }
}

export class TcpConnection {
  readonly socket: Socket;
  readonly origin: TcpOrigin;
  readonly startMs: number;
  /** Asked for now: a socket that is gone has none. */
  readonly address: string;
  cluster = '';
  /** `address:port`; empty until one is reached. */
  upstream = '';
  upstreamIdentity = '';
  attempts = 0;
  readonly #telemetry: TcpTelemetry;
  #isOver = false;

  constructor(socket: Socket, origin: TcpOrigin, startMs: number, telemetry: TcpTelemetry) {
    this.socket = socket;
    this.origin = origin;
    this.startMs = startMs;
    this.address = `${socket.remoteAddress ?? ''}:${socket.remotePort ?? 0}`;
    this.#telemetry = telemetry;
  }

  /** Cut off before it had an endpoint. */
  refuse(cause: FailureKind): void {
    resetSocket(this.socket);
    this.end(cause, 0, 0);
  }

  /** Counted and logged, once. @param cause empty: both sides ended well */
  end(cause: FailureKind | '', sent: number, received: number): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#telemetry.ended(this, cause, sent, received);
  }
}
