/**
 * A connection of which nobody has declared what it carries, or only that it is opaque and perhaps TLS: whoever speaks first tells.
 * The server is connected to while the client is still quiet, so that one that speaks first is not waited for.
 * Knows no listener and no route.
 */
import type { Socket } from 'node:net';
import type { Clock, Timer } from '#base/clock.ts';
import type { ClientHello } from '../net/client-hello.ts';
import { resetSocket } from '../net/reset.ts';
import { sniff, type Protocol, type Sniffed, type Sniffing } from './sniff.ts';
import type { TcpConnection } from './tcp/connection.ts';
import type { TcpUpstream, TcpUpstreamEvents } from './tcp/upstream.ts';

/** Clients of HTTP and TLS speak as soon as they are connected; only for those that do not is a connection begun that may be in vain. */
const QUIET_MS = 10;
/** First bytes that fit several answers are taken for opaque then; and a quiet client is told then that there is no server. */
const UNDECIDED_MS = 1000;

export interface Detected {
  readonly what: Protocol;
  /** With `tls`, unless it is broken. */
  readonly hello: ClientHello | null;
  /** Of a client that ended its side already, bytes that cannot be put back. */
  readonly early: Buffer | null;
  /** The bytes go to the server as they are. */
  readonly pass: (connection: TcpConnection) => void;
  /** Somebody else serves the client; its bytes are unread. */
  readonly leave: () => void;
}

export interface DetectEnv {
  readonly clock: Clock;
  /** Begins to connect to the server; null: there is none to connect to. */
  readonly connect: (events: TcpUpstreamEvents | null) => TcpUpstream | null;
  /** How long from now a server that speaks first is kept waiting: a client that then turns out to speak TLS with us must not have been answered. */
  readonly holdMs: number;
}

/** Calls `then` once, unless the client goes away before. Silence on both sides is waited out: nothing is lost by it. */
export function detectProtocol(client: Socket, env: DetectEnv, then: (detected: Detected) => void): void {
  new Detection(client, env, then).begin();
}

class Detection {
  readonly #client: Socket;
  readonly #env: DetectEnv;
  readonly #then: (detected: Detected) => void;
  readonly #sinceMs: number;
  #sniffing: Sniffing | null = null;
  #upstream: TcpUpstream | null = null;
  #timer: Timer | null = null;

  constructor(client: Socket, env: DetectEnv, then: (detected: Detected) => void) {
    this.#client = client;
    this.#env = env;
    this.#then = then;
    this.#sinceMs = env.clock.now();
  }

  begin(): void {
    const { clock } = this.#env;
    this.#client.once('close', this.#onClientClose);
    this.#timer = clock.after(QUIET_MS, () => this.#connect());
    const times = { silentMs: null, undecidedMs: UNDECIDED_MS };
    this.#sniffing = sniff(this.#client, clock, times, (sniffed) => this.#settled(sniffed));
  }

  readonly #onClientClose = (): void => {
    this.#timer?.cancel();
    this.#upstream?.drop();
  };

  #connect(): void {
    this.#timer = null;
    this.#upstream = this.#env.connect({
      onSpeaks: () => this.#afterHold(() => this.#sniffing?.settle('server-first')),
      onLost: (wasReached) => {
        if (wasReached) this.#afterHold(() => resetSocket(this.#client));
        else this.#after(UNDECIDED_MS, () => this.#sniffing?.settle('silent'));
      },
    });
    if (this.#upstream === null) this.#sniffing?.settle('silent');
  }

  #afterHold(then: () => void): void {
    const { clock, holdMs } = this.#env;
    this.#after(this.#sinceMs + holdMs - clock.now(), then);
  }

  #after(delayMs: number, then: () => void): void {
    this.#timer?.cancel();
    if (delayMs <= 0) then();
    else this.#timer = this.#env.clock.after(delayMs, then);
  }

  #settled({ what, hello, early }: Sniffed): void {
    this.#timer?.cancel();
    this.#client.off('close', this.#onClientClose);
    this.#then({
      what,
      hello,
      early,
      pass: (connection) => {
        const upstream = this.#upstream ?? this.#env.connect(null);
        if (upstream === null) connection.refuse('no-cluster');
        else upstream.join(connection, early);
      },
      leave: () => this.#upstream?.drop(),
    });
  }
}
