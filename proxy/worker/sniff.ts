/**
 * Waits for the first bytes of a connection, says what they are, and puts them back.
 * Knows no listener and no protocol beyond its first bytes.
 */
import type { Socket } from 'node:net';
import type { Clock, Timer } from '#base/clock.ts';
import { readClientHello, type ClientHello } from '../net/client-hello.ts';
import { detect, type FirstBytes } from '../net/first-bytes.ts';

/** `silent`: nothing came in time. `server-first`: the other side spoke before. */
export type Protocol = Exclude<FirstBytes, 'more'> | 'silent' | 'server-first';

export interface Sniffed {
  readonly what: Protocol;
  /** With `tls`, unless it is broken or came in part only. */
  readonly hello: ClientHello | null;
  /** Of a client that ended its side with bytes that decide nothing, those bytes: behind the end nothing can be put back. */
  readonly early: Buffer | null;
}

export interface SniffTimes {
  /** Null: silence is waited out. */
  readonly silentMs: number | null;
  /** From first bytes that fit several answers until they are taken for opaque. */
  readonly undecidedMs: number;
}

/** From first bytes to a whole preface or handshake, on a port that is declared. */
const DECLARED_MS = 10_000;

/**
 * On a declared port only the version or the name is asked for. A client that says nothing is waited for as long as a connection may be idle
 * at all: no timer takes it for something that it is not.
 */
export function declaredTimes(idleMs: number): SniffTimes {
  return { silentMs: idleMs, undecidedMs: DECLARED_MS };
}

/** Under way; does nothing any more once it has settled, or the client has gone. */
export class Sniffing {
  readonly #socket: Socket;
  readonly #clock: Clock;
  readonly #times: SniffTimes;
  readonly #then: (sniffed: Sniffed) => void;
  #bytes: Buffer | null = null;
  #hello: ClientHello | null = null;
  #timer: Timer | null = null;
  #isOver = false;

  constructor(socket: Socket, clock: Clock, times: SniffTimes, then: (sniffed: Sniffed) => void) {
    this.#socket = socket;
    this.#clock = clock;
    this.#times = times;
    this.#then = then;
    if (times.silentMs !== null) this.#timer = clock.after(times.silentMs, () => this.settle('silent'));
    socket.on('data', this.#onData).once('end', this.#onEnd).once('close', this.#onClose);
    // A client that left without a word while its destination was waited for: its end was told when nobody listened, and is not told again.
    if (socket.readableEnded) this.settle('silent');
  }

  /** Ends it with this answer. Bytes that came but decided nothing make it `opaque` instead of `silent`. */
  settle(what: Protocol): void {
    if (this.#isOver) return;
    this.#stop();
    const { readableEnded } = this.#socket;
    const bytes = this.#bytes;
    this.#socket.pause();
    if (bytes !== null && !readableEnded) this.#socket.unshift(bytes);
    const decided = what === 'silent' && bytes !== null ? 'opaque' : what;
    this.#then({ what: decided, hello: this.#hello, early: readableEnded ? bytes : null });
  }

  readonly #onData = (chunk: Buffer): void => {
    if (this.#bytes === null) {
      this.#timer?.cancel();
      this.#timer = this.#clock.after(this.#times.undecidedMs, () => this.settle('opaque'));
    }
    this.#bytes = this.#bytes === null ? chunk : Buffer.concat([this.#bytes, chunk]);
    const what = detect(this.#bytes);
    if (what === 'more') return;
    const hello = what === 'tls' ? readClientHello(this.#bytes) : null;
    if (hello === 'more') return;
    this.#hello = hello;
    this.settle(what);
  };

  readonly #onEnd = (): void => this.settle('silent');
  readonly #onClose = (): void => this.#stop();

  #stop(): void {
    this.#isOver = true;
    this.#timer?.cancel();
    this.#socket.off('data', this.#onData).off('end', this.#onEnd).off('close', this.#onClose);
  }
}

/** Calls `then` once, with the socket paused and its bytes unread; never when the client goes away before. */
export function sniff(socket: Socket, clock: Clock, times: SniffTimes, then: (sniffed: Sniffed) => void): Sniffing {
  return new Sniffing(socket, clock, times, then);
}
