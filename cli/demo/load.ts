/**
 * A steady load from outside the mesh, as a cloud load balancer would bring it: round robin over ready replicas, connections kept
 * alive, sent when due and not when the last answer came (open loop), so that a slow answer cannot hide those behind it.
 */
import http from 'node:http';
import type { Clock, Timer } from '#base/clock.ts';

export interface Target {
  readonly address: string;
  readonly port: number;
}

export interface LoadOptions {
  readonly clock: Clock;
  readonly rps: number;
  readonly host: string;
  /** Taken in turn. */
  readonly paths: readonly string[];
  /** Replicas that are worth a try now. */
  readonly targets: () => readonly Target[];
}

export interface LoadTotals {
  readonly sent: number;
  readonly succeeded: number;
  readonly failed: number;
  /** Tries that went to another replica because the connection to the first one failed. */
  readonly reconnects: number;
  /** What failures were, with their counts. */
  readonly reasons: ReadonlyMap<string, number>;
}

const TICK_MS = 10;
const TIMEOUT_MS = 30_000;
/** A mesh that has just started has everything to compile yet: the rate comes up to its height in this time. */
const RAMP_MS = 2000;
/** Requests under way; more than these fail without being sent, for then the mesh does not keep up. */
const MAX_UNDER_WAY = 2000;
const MAX_TRIES = 3;
const MAX_LATENCIES = 100_000;
const MAX_REASONS = 20;
/** Of an answer, for the reason of a failure. */
const MAX_TEXT = 200;

export class Load {
  readonly #options: LoadOptions;
  readonly #agent = new http.Agent({ keepAlive: true, maxSockets: 256 });
  readonly #reasons = new Map<string, number>();
  /** The last ones, in milliseconds; a ring. */
  readonly #latencies = new Float64Array(MAX_LATENCIES);
  #measured = 0;
  #timer: Timer | null = null;
  #startMs = 0;
  #due = 0;
  #sent = 0;
  #succeeded = 0;
  #failed = 0;
  #reconnects = 0;
  #underWay = 0;
  #turn = 0;
  #onIdle: () => void = () => undefined;

  constructor(options: LoadOptions) {
    this.#options = options;
  }

  get totals(): LoadTotals {
    return {
      sent: this.#sent,
      succeeded: this.#succeeded,
      failed: this.#failed,
      reconnects: this.#reconnects,
      reasons: new Map(this.#reasons),
    };
  }

  start(): void {
    this.#startMs = this.#options.clock.now();
    this.#timer = this.#options.clock.every(TICK_MS, () => this.#tick());
  }

  /** Sends nothing more; resolves when all answers are there. */
  async stop(): Promise<void> {
    this.#timer?.cancel();
    if (this.#underWay > 0) await new Promise<void>((resolve) => (this.#onIdle = resolve));
    this.#agent.destroy();
  }

  /** Of the last answers, in milliseconds; null before the first. */
  latencyMs(quantile: number): number | null {
    const count = Math.min(this.#measured, MAX_LATENCIES);
    if (count === 0) return null;
    const sorted = this.#latencies.slice(0, count).sort();
    return sorted[Math.min(count - 1, Math.floor(quantile * count))] ?? null;
  }

  #tick(): void {
    const elapsedMs = this.#options.clock.now() - this.#startMs;
    const fullMs = elapsedMs < RAMP_MS ? elapsedMs ** 2 / (2 * RAMP_MS) : elapsedMs - RAMP_MS / 2;
    const wanted = Math.floor((fullMs * this.#options.rps) / 1000);
    for (; this.#due < wanted; this.#due++) {
      this.#sent++;
      if (this.#underWay >= MAX_UNDER_WAY) this.#fail('too many requests under way');
      else void this.#request();
    }
  }

  async #request(): Promise<void> {
    const { clock, paths } = this.#options;
    const startMs = clock.now();
    const path = paths[this.#sent % paths.length] ?? '/';
    this.#underWay++;
    let outcome: Outcome = { kind: 'unreachable', reason: 'no replica is ready' };
    let tried: Target | null = null;
    for (let n = 0; n < MAX_TRIES && outcome.kind === 'unreachable'; n++) {
      const target = this.#next(tried);
      if (target === null) break;
      if (n > 0) this.#reconnects++;
      tried = target;
      outcome = await this.#try(target, path);
    }
    this.#underWay--;
    if (outcome.kind === 'answered') {
      this.#succeeded++;
      this.#latencies[this.#measured++ % MAX_LATENCIES] = clock.now() - startMs;
    } else this.#fail(outcome.reason);
    if (this.#underWay === 0) this.#onIdle();
  }

  /** The next in turn, another one than `last` if there is one. */
  #next(last: Target | null): Target | null {
    const targets = this.#options.targets();
    for (let n = 0; n < targets.length; n++) {
      const target = targets[this.#turn++ % targets.length];
      if (target !== undefined && (target.address !== last?.address || targets.length === 1)) return target;
    }
    return null;
  }

  #try({ address, port }: Target, path: string): Promise<Outcome> {
    return new Promise((resolve) => {
      const options = {
        host: address,
        port,
        path,
        agent: this.#agent,
        timeout: TIMEOUT_MS,
        headers: { host: this.#options.host },
      };
      const request = http.get(options, (response) => {
        response.on('error', (error) => resolve({ kind: 'unreachable', reason: error.message }));
        let text = '';
        response.setEncoding('latin1').on('data', (piece: string) => {
          if (text.length < MAX_TEXT) text += piece.slice(0, MAX_TEXT);
        });
        response.on('end', () => resolve(judge(response, text)));
      });
      request.on('timeout', () => request.destroy(new Error('no answer within 30 s')));
      request.on('error', (error) => resolve({ kind: 'unreachable', reason: error.message }));
    });
  }

  #fail(reason: string): void {
    this.#failed++;
    if (this.#reasons.size < MAX_REASONS || this.#reasons.has(reason)) {
      this.#reasons.set(reason, (this.#reasons.get(reason) ?? 0) + 1);
    }
  }
}

type Outcome = { readonly kind: 'answered' } | { readonly kind: 'unreachable' | 'refused'; readonly reason: string };

/** What a sidecar says when the application beside it has gone: as good as a connection that failed. */
const APPLICATION_GONE = new Set([
  'connect-failure',
  'connect-timeout',
  'refused-stream',
  'upstream-reset',
  'draining',
]);

function judge(response: http.IncomingMessage, text: string): Outcome {
  const status = response.statusCode ?? 0;
  if (status < 400) return { kind: 'answered' };
  const reason = response.headers['tulle-reason'];
  if (typeof reason !== 'string') return { kind: 'refused', reason: `status ${status}: ${text}` };
  return { kind: APPLICATION_GONE.has(reason) ? 'unreachable' : 'refused', reason: `status ${status}, ${reason}` };
}
