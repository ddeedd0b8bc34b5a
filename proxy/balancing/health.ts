/**
 * Active health checks: each endpoint is asked from time to time, and left out while it fails (Envoy `HealthCheck`). A new endpoint is in until
 * its first check is over, which counts alone; whether it is ready has been said elsewhere. When fewer than a number of endpoints pass,
 * none is left out: a check that nearly all fail says more of the check. Knows no socket; what is asked, and how, is told by a probe.
 *
 *   unknown --first check--> passing <--healthyThreshold / unhealthyThreshold in a row--> failing
 */
import type { Clock, Timer } from '#base/clock.ts';
import type { Random } from '#base/random.ts';
import type { HealthCheckConfig } from '../config/endpoint-health.ts';
import type { BalancedEndpoint } from '../exchange/destination.ts';

/** Names are Envoy's: `failure` is an answer that is not as wanted, `network_failure` is none. */
export interface CheckFailure {
  readonly kind: 'failure' | 'network_failure';
  readonly detail: string;
}

/** Asks one endpoint. */
export interface Probe {
  /** @param done once, later; null: it passed. What is returned gives the check up: `done` is not called any more */
  check(config: HealthCheckConfig, done: (failure: CheckFailure | null) => void): () => void;
  /** Nothing is asked any more. */
  close(): void;
}

export interface HealthEvents {
  checked(failure: CheckFailure | null): void;
  /** What the first check of an endpoint says, and each change after it. @param why it fails; empty: it passes */
  found(endpoint: BalancedEndpoint, why: string, isChange: boolean): void;
  /** So many fail now. */
  counted(failing: number): void;
}

export interface HealthEnv {
  readonly clock: Clock;
  readonly random: Random;
  /** Null: another worker asks, and its findings are told. */
  readonly probe: ((endpoint: BalancedEndpoint) => Probe) | null;
  readonly events: HealthEvents;
}

/** Checks are spread over this share of the interval, so that clients do not all ask at once. */
const JITTER = 0.1;
/** The first check comes within this share of the interval, and within this time. */
const FIRST = 0.1;
const MAX_FIRST_MS = 1000;
/** A timeout that is noticed so much later shows that we were busy with other things. */
const LATE = 1.1;

/** Checks the endpoints of one cluster. */
export class HealthChecker {
  config: HealthCheckConfig;
  readonly env: HealthEnv;
  /** So many have to pass, or none is left out. */
  #keep: number;
  readonly #all = new Set<EndpointHealth>();
  #failing = 0;

  constructor(config: HealthCheckConfig, keep: number, env: HealthEnv) {
    this.config = config;
    this.#keep = keep;
    this.env = env;
  }

  add(endpoint: BalancedEndpoint): EndpointHealth {
    const health = new EndpointHealth(endpoint, this);
    this.#all.add(health);
    this.settle();
    return health;
  }

  remove(health: EndpointHealth): void {
    this.#all.delete(health);
    health.release();
    this.settle();
  }

  /** From now on; what was found stays. */
  update(config: HealthCheckConfig, keep: number): void {
    const isSame = JSON.stringify(config) === JSON.stringify(this.config);
    this.config = config;
    this.#keep = keep;
    if (!isSame) for (const health of this.#all) health.checkSoon();
    this.settle();
  }

  close(): void {
    for (const health of this.#all) health.release();
    this.#all.clear();
    this.settle();
  }

  /** Who fails is out, unless too few would be left. */
  settle(): void {
    let serving = 0;
    let failing = 0;
    for (const { why, endpoint } of this.#all) {
      if (why !== '') failing++;
      else if (endpoint.available && endpoint.config.healthy) serving++;
    }
    const leavesOut = serving >= this.#keep;
    for (const { why, endpoint } of this.#all) endpoint.passing = why === '' || !leavesOut;
    if (failing === this.#failing) return;
    this.#failing = failing;
    this.env.events.counted(failing);
  }
}

/** One endpoint, as its cluster's checker sees it. */
export class EndpointHealth {
  readonly endpoint: BalancedEndpoint;
  /** Why it fails; empty: it passes, or was not asked yet. */
  why = '';
  readonly #checker: HealthChecker;
  readonly #probe: Probe | null;
  #isKnown = false;
  /** Results in a row that say other than `why`. */
  #contrary = 0;
  #timer: Timer | null = null;
  #giveUp: (() => void) | null = null;

  constructor(endpoint: BalancedEndpoint, checker: HealthChecker) {
    this.endpoint = endpoint;
    this.#checker = checker;
    this.#probe = checker.env.probe?.(endpoint) ?? null;
    this.checkSoon();
  }

  /** Unless a check is under way. */
  checkSoon(): void {
    if (this.#giveUp !== null) return;
    const { config, env } = this.#checker;
    this.#checkAfter(env.random() * Math.min(FIRST * config.intervalMs, MAX_FIRST_MS));
  }

  /** Another worker has found this. @param why empty: it passes */
  tell(why: string): void {
    this.#become(why);
  }

  /** It is checked no more, and in. */
  release(): void {
    this.#timer?.cancel();
    this.#giveUp?.();
    this.#giveUp = null;
    this.#probe?.close();
    this.endpoint.passing = true;
  }

  #checkAfter(delayMs: number): void {
    const probe = this.#probe;
    if (probe === null) return;
    this.#timer?.cancel();
    this.#timer = this.#checker.env.clock.after(delayMs, () => this.#check(probe));
  }

  #check(probe: Probe): void {
    const { config, env } = this.#checker;
    this.#giveUp = probe.check(config, (failure) => this.#over(failure));
    this.#giveUpAfter(config.timeoutMs, env.clock.now(), true);
  }

  /** @param isPatient we may ourselves have been too busy to hear an answer; then it gets the time once more */
  #giveUpAfter(timeoutMs: number, startMs: number, isPatient: boolean): void {
    const { clock } = this.#checker.env;
    this.#timer = clock.after(timeoutMs, () => {
      const now = clock.now();
      if (isPatient && now - startMs > LATE * timeoutMs) return this.#giveUpAfter(timeoutMs, now, false);
      this.#giveUp?.();
      this.#over({ kind: 'network_failure', detail: `no answer within ${timeoutMs} ms` });
    });
  }

  #over(failure: CheckFailure | null): void {
    const { config, env } = this.#checker;
    this.#giveUp = null;
    env.events.checked(failure);
    const isContrary = (failure === null) !== (this.why === '');
    this.#contrary = isContrary ? this.#contrary + 1 : 0;
    const threshold = failure === null ? config.healthyThreshold : config.unhealthyThreshold;
    if (!this.#isKnown || this.#contrary >= threshold) this.#become(failure?.detail ?? '');
    // Others may have gone or come back meanwhile, and with them the number of those that have to stay.
    else this.#checker.settle();
    this.#checkAfter(config.intervalMs * (1 + JITTER * (2 * env.random() - 1)));
  }

  #become(why: string): void {
    const isChange = (why === '') !== (this.why === '');
    this.#isKnown = true;
    this.why = why;
    this.#contrary = 0;
    this.#checker.settle();
    this.#checker.env.events.found(this.endpoint, why, isChange);
  }
}
