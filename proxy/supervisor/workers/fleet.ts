/**
 * Several worker threads as one worker: everything goes to all of them, what they say is joined, and one that dies is replaced.
 * Carries no traffic. The kernel spreads new connections over the threads' listeners (`reusePort`); requests stay with their connection.
 */
import { backoffMs } from '#base/backoff.ts';
import type { Clock } from '#base/clock.ts';
import type { Logger, LogLevel } from '#base/log.ts';
import type { Random } from '#base/random.ts';
import type { DestinationState } from '../../config/snapshot.ts';
import { allocateCounts, forgetWorker } from '../../exchange/pod-counts.ts';
import { allocateRates } from '../../filters/rate-table.ts';
import { allocateGivenUp } from '../../forwarding/given-up.ts';
import type { Counter, Gauge } from '../../telemetry/cells.ts';
import type { JoinedMetrics } from '../../telemetry/joined.ts';
import type { MetricRegistry } from '../../telemetry/metrics.ts';
import { mergeStates, type WorkerState } from '../../worker/describe.ts';
import type { ExchangeFacts } from '../../worker/recent.ts';
import type { FromWorker, ToWorker, WorkerSettings } from '../../worker/messages.ts';
import type { WorkerHost } from './host.ts';
import { Findings } from './findings.ts';
import { Member } from './member.ts';
import { Rows } from './rows.ts';
import { Usage } from './usage.ts';

export interface FleetOptions {
  readonly count: number;
  /** What each thread runs. */
  readonly script: string;
  readonly settings: WorkerSettings;
  readonly logLevel: LogLevel;
  readonly logFormat: 'text' | 'json';
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly registry: MetricRegistry;
  readonly metrics: JoinedMetrics;
  /** To the supervisor. */
  readonly receive: (message: FromWorker) => void;
  /** What a worker has to be told that starts late. */
  readonly catchUp: () => readonly ToWorker[];
  readonly stateOf: (destination: string) => DestinationState | undefined;
}

const RESTART = { baseMs: 100, maxMs: 10_000 };
/** A worker that has lived for so long did not die of its start. */
const SOUND_MS = 60_000;

type Direction = 'inbound' | 'outbound';

/** There with more than one worker only. */
export function fleetMetrics(registry: MetricRegistry): { readonly alive: Gauge; readonly restarts: Counter } {
  const ended = 'Worker threads that ended unasked and were replaced.';
  return {
    alive: registry.gauge('tulle_workers', 'Worker threads that serve; with --concurrency above 1.').with(),
    restarts: registry.counter('tulle_worker_restarts_total', ended).with(),
  };
}

export class Fleet implements WorkerHost {
  readonly #options: FleetOptions;
  readonly #members: (Member | null)[];
  readonly #counts: SharedArrayBuffer;
  readonly #givenUp = allocateGivenUp();
  readonly #rates = allocateRates();
  readonly #rows = new Rows();
  readonly #usage = new Usage();
  readonly #findings = new Findings();
  readonly #drained: Record<Direction, Set<number>> = { inbound: new Set(), outbound: new Set() };
  readonly #failures: number[];
  readonly #serving: boolean[];
  readonly #alive: Gauge;
  readonly #restarts: Counter;
  #incarnations = 0;
  #draining = false;
  #closing = false;

  constructor(options: FleetOptions) {
    this.#options = options;
    this.#members = Array.from({ length: options.count }, () => null);
    this.#failures = Array.from({ length: options.count }, () => 0);
    this.#serving = Array.from({ length: options.count }, () => false);
    this.#counts = allocateCounts(options.count);
    const { alive, restarts } = fleetMetrics(options.registry);
    this.#alive = alive;
    this.#restarts = restarts;
  }

  /** Starts all threads and opens their listeners; the problems met. */
  async open(): Promise<readonly string[]> {
    const problems = await Promise.all(this.#members.map((_, slot) => this.#start(slot)));
    return [...new Set(problems.flat())];
  }

  post(message: ToWorker): void {
    if (message.kind === 'drain') this.#draining = true;
    const told = message.kind === 'change' ? { ...message, rows: this.#rows.of(message.change) } : message;
    if (message.kind === 'change') {
      for (const [name, state] of message.change.destinations) if (state === 'released') this.#usage.released(name);
    }
    for (const member of this.#running) member.post(told);
    if (message.kind === 'change') this.#findings.forget(message.change);
  }

  /** Of all that answer in time. */
  async describe(): Promise<WorkerState> {
    const states = await Promise.all(this.#running.map((member) => member.describe()));
    return mergeStates(states.filter((state) => state !== null));
  }

  /** Of all that answer in time, oldest first. */
  async recall(id: string): Promise<readonly ExchangeFacts[]> {
    const found = await Promise.all(this.#running.map((member) => member.recall(id)));
    return found.flatMap((exchanges) => exchanges ?? []).toSorted((a, b) => a.startWallMs - b.startWallMs);
  }

  async close(): Promise<void> {
    this.#closing = true;
    await Promise.all(this.#running.map((member) => member.close()));
  }

  /** Ends one thread at once, as a defect would. */
  kill(slot: number): void {
    this.#members[slot]?.kill();
  }

  get #running(): readonly Member[] {
    return this.#members.filter((member) => member !== null);
  }

  #start(slot: number): Promise<readonly string[]> {
    const { script, settings, count, logLevel, logFormat, clock, metrics, catchUp } = this.#options;
    const incarnation = this.#incarnations++;
    const startedMs = clock.now();
    const memory = { counts: this.#counts, givenUp: this.#givenUp, rates: this.#rates, workers: count, slot };
    const member = new Member(script, { settings, memory, logLevel, logFormat }, clock, {
      onMessage: (message) => this.#receive(slot, message),
      onSeries: (series) => metrics.add(incarnation, series),
      onEnd: (reason) => {
        metrics.end(incarnation);
        this.#ended(slot, reason, clock.now() - startedMs);
      },
    });
    this.#members[slot] = member;
    for (const message of catchUp()) {
      member.post(message.kind === 'change' ? { ...message, rows: this.#rows.of(message.change) } : message);
    }
    // Who asks finds out for itself.
    if (slot !== 0) for (const message of this.#findings.all()) member.post(message);
    return member.open().then((problems) => {
      if (problems.length === 0 && this.#members[slot] === member) this.#tellServing(slot, true);
      return problems;
    });
  }

  #tellServing(slot: number, serving: boolean): void {
    this.#serving[slot] = serving;
    this.#alive.set(this.#serving.filter(Boolean).length);
  }

  #receive(slot: number, message: FromWorker): void {
    const { receive, clock } = this.#options;
    switch (message.kind) {
      case 'want':
        this.#usage.want(message.destination, slot);
        receive(message);
        this.#tellKnown(slot, message.destination);
        break;
      case 'idle':
        if (this.#usage.idle(message.destination, slot, clock.now())) receive(message);
        break;
      case 'health':
        this.#findings.note(message);
        for (const member of this.#running) if (member !== this.#members[slot]) member.post(message);
        break;
      case 'listening':
        if (slot === 0) receive(message);
        break;
      case 'drained':
        this.#drained[message.direction].add(slot);
        this.#checkDrained(message.direction);
        break;
    }
  }

  /** Another worker may have asked for it before: then no change comes that would say so. */
  #tellKnown(slot: number, destination: string): void {
    const state = this.#options.stateOf(destination);
    if (state !== 'ready' && state !== 'unknown') return;
    const none = new Map<string, never>();
    const change = { listeners: none, routes: none, clusters: none, endpoints: none, trust: undefined };
    this.#members[slot]?.post({
      kind: 'change',
      change: { ...change, destinations: new Map([[destination, state]]) },
      rows: none,
    });
  }

  #checkDrained(direction: Direction): void {
    const done = this.#drained[direction];
    if (this.#members.some((member, slot) => member !== null && !done.has(slot))) return;
    this.#options.receive({ kind: 'drained', direction });
  }

  #ended(slot: number, reason: string | null, livedMs: number): void {
    const { log, clock, random, receive } = this.#options;
    this.#members[slot] = null;
    this.#tellServing(slot, false);
    forgetWorker(this.#counts, this.#options.count, slot);
    for (const destination of this.#usage.forget(slot)) receive({ kind: 'idle', destination });
    if (this.#closing || reason === null) return;
    if (this.#draining) {
      log.error('a worker ended while draining', { worker: slot, reason });
      for (const direction of ['inbound', 'outbound'] as const) this.#checkDrained(direction);
      return;
    }
    const failures = livedMs > SOUND_MS ? 0 : this.#failures[slot]!;
    this.#failures[slot] = failures + 1;
    const afterMs = backoffMs(RESTART, failures, random);
    log.error('a worker ended and is replaced', { worker: slot, reason, afterMs: Math.round(afterMs) });
    this.#restarts.inc();
    clock.after(afterMs, () => {
      if (this.#closing || this.#draining) return;
      void this.#start(slot).then((problems) => {
        if (problems.length > 0) log.error('a worker cannot listen', { worker: slot, problems: problems.join('; ') });
      });
    });
  }
}
