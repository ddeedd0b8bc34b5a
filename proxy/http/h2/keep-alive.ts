/**
 * Finds peers that are gone without a word (cable, node, frozen process): silence, then a PING, then silence again.
 * Knows no timer: who owns the connection asks, and is told when to ask again. Anything that is read counts as a sign of life.
 */

export interface KeepAliveOptions {
  /** Silence after which a PING is sent; 0: none ever is. */
  readonly keepAliveIntervalMs: number;
  /** How long its answer may take. */
  readonly keepAliveTimeoutMs: number;
}

export const PING_DUE = 0;
export const PEER_DEAD = -1;

export class KeepAlive {
  readonly #options: KeepAliveOptions;
  #heardMs: number;
  #pingedMs = Number.NEGATIVE_INFINITY;

  constructor(options: KeepAliveOptions, nowMs: number) {
    this.#options = options;
    this.#heardMs = nowMs;
  }

  heard(nowMs: number): void {
    this.#heardMs = nowMs;
  }

  /** PING_DUE: send one now; PEER_DEAD; else milliseconds until the next question. */
  ask(nowMs: number): number {
    const { keepAliveIntervalMs, keepAliveTimeoutMs } = this.#options;
    if (keepAliveIntervalMs <= 0) return Number.POSITIVE_INFINITY;
    if (this.#pingedMs > this.#heardMs) {
      const leftMs = this.#pingedMs + keepAliveTimeoutMs - nowMs;
      return leftMs > 0 ? leftMs : PEER_DEAD;
    }
    const leftMs = this.#heardMs + keepAliveIntervalMs - nowMs;
    if (leftMs > 0) return leftMs;
    this.#pingedMs = nowMs;
    return PING_DUE;
  }
}
