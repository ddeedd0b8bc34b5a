/**
 * Outlier detection: an endpoint that fails is left out for a while, and comes back by a single request that tells whether it is well.
 * After Envoy's, but for the way back (Envoy gives a returning endpoint its whole share at once) and for the bound, which is said in endpoints.
 * Each worker judges by what it sees itself. Knows no socket and no request, and what becomes of attempts only as it is told.
 *
 *   in --bad--> ejected --its time is over--> probing --good--> in
 *                  ^-------------bad-------------|
 */
import type { Clock, Timer } from '#base/clock.ts';
import type { Random } from '#base/random.ts';
import type { OutlierConfig } from '../config/endpoint-health.ts';
import type { BalancedEndpoint } from '../exchange/destination.ts';
import { FAILURES, type FailureKind } from '../exchange/failure.ts';
import type { AttemptObserver } from '../exchange/upstream.ts';

/** Names are Envoy's. */
export type EjectionReason = 'consecutive_5xx' | 'consecutive_gateway_failure' | 'failure_percentage';

export interface OutlierEvents {
  ejected(reason: EjectionReason): void;
  /** An endpoint can be picked again, by one request or by all. */
  returned(): void;
}

export interface OutlierEnv {
  readonly clock: Clock;
  readonly random: Random;
  readonly events: OutlierEvents;
}

/** Returns are spread over this share of the time, so that clients do not all probe at once. */
const JITTER = 0.1;

/** Judges the endpoints of one cluster. */
export class OutlierDetector {
  config: OutlierConfig;
  readonly env: OutlierEnv;
  readonly #judges = new Set<EndpointJudge>();
  #timer: Timer;

  constructor(config: OutlierConfig, env: OutlierEnv) {
    this.config = config;
    this.env = env;
    this.#timer = this.#every(config.intervalMs);
  }

  /** How many are ejected, or wait for their probe. */
  get ejected(): number {
    let count = 0;
    for (const judge of this.#judges) if (!judge.isIn) count++;
    return count;
  }

  add(endpoint: BalancedEndpoint): EndpointJudge {
    const judge = new EndpointJudge(endpoint, this);
    this.#judges.add(judge);
    return judge;
  }

  remove(judge: EndpointJudge): void {
    judge.release();
    this.#judges.delete(judge);
  }

  /** From now on; who is ejected stays so for its time. */
  update(config: OutlierConfig): void {
    if (config.intervalMs !== this.config.intervalMs) {
      this.#timer.cancel();
      this.#timer = this.#every(config.intervalMs);
    }
    this.config = config;
  }

  close(): void {
    this.#timer.cancel();
    for (const judge of this.#judges) judge.release();
    this.#judges.clear();
  }

  /** Whether one more may go: enough stay, or it is the only one that is out, and not the only one there is. */
  mayEject(): boolean {
    let serving = 0;
    let out = 0;
    for (const judge of this.#judges) {
      if (!judge.isIn) out++;
      else if (judge.endpoint.config.healthy && judge.endpoint.passing) serving++;
    }
    return serving - 1 >= this.config.keepEndpoints || (out === 0 && serving > 1);
  }

  #every(intervalMs: number): Timer {
    return this.env.clock.every(intervalMs, () => {
      for (const judge of this.#judges) judge.judgeInterval();
    });
  }
}

/** One endpoint, as its cluster's detector sees it. */
export class EndpointJudge implements AttemptObserver {
  readonly endpoint: BalancedEndpoint;
  /** Why it is out; empty: it is not. */
  reason: EjectionReason | '' = '';
  readonly #detector: OutlierDetector;
  #state: 'in' | 'ejected' | 'probing' = 'in';
  #errors = 0;
  #gatewayErrors = 0;
  #requests = 0;
  #failures = 0;
  /** Ejections in a row; each makes the next one longer, each good interval takes one away. */
  #times = 0;
  #wasEjected = false;
  #isProbeOut = false;
  #timer: Timer | null = null;

  constructor(endpoint: BalancedEndpoint, detector: OutlierDetector) {
    this.endpoint = endpoint;
    this.#detector = detector;
  }

  get isIn(): boolean {
    return this.#state === 'in';
  }

  /** A request is sent to it: while it is on probation there is one at a time. */
  attemptBegins(): void {
    if (this.#state !== 'probing') return;
    this.#isProbeOut = true;
    this.endpoint.available = false;
  }

  attemptOver(status: number, grpcStatus: number, failure: FailureKind | null): void {
    const effective = failure === null ? statusOf(status, grpcStatus) : FAILURES[failure].status;
    const isGateway = failure !== null || (effective >= 502 && effective <= 504);
    const isError = isGateway || effective >= 500;
    this.#requests++;
    if (isError) this.#failures++;
    this.#errors = isError ? this.#errors + 1 : 0;
    this.#gatewayErrors = isGateway ? this.#gatewayErrors + 1 : 0;
    if (this.#state === 'probing') this.#judgeProbe(isError);
    else if (this.#state === 'in') this.#judgeRow();
  }

  /** The end of an interval: its share of successes counts, and a good one shortens the next ejection. */
  judgeInterval(): void {
    const { successRate } = this.#detector.config;
    const [requests, failures] = [this.#requests, this.#failures];
    this.#requests = 0;
    this.#failures = 0;
    // The probe's client may have gone before it was answered.
    if (this.#state === 'probing' && this.#isProbeOut) this.#offerProbe();
    if (this.#state !== 'in') return;
    if (successRate !== null && requests >= successRate.minRequests) {
      const percent = (100 * (requests - failures)) / requests;
      if (percent < successRate.below) return this.#eject('failure_percentage');
    }
    if (!this.#wasEjected && this.#times > 0) this.#times--;
    this.#wasEjected = false;
  }

  /** It is judged no more. */
  release(): void {
    this.#timer?.cancel();
    this.#timer = null;
    this.#state = 'in';
    this.reason = '';
    this.endpoint.available = true;
  }

  #judgeRow(): void {
    const { consecutiveErrors, consecutiveGatewayErrors } = this.#detector.config;
    if (consecutiveGatewayErrors > 0 && this.#gatewayErrors >= consecutiveGatewayErrors) {
      this.#eject('consecutive_gateway_failure');
    } else if (consecutiveErrors > 0 && this.#errors >= consecutiveErrors) this.#eject('consecutive_5xx');
  }

  #judgeProbe(isError: boolean): void {
    if (isError) {
      this.#leave(this.reason === '' ? 'consecutive_5xx' : this.reason);
      return;
    }
    this.#state = 'in';
    this.reason = '';
    this.endpoint.available = true;
    this.#detector.env.events.returned();
  }

  #eject(reason: EjectionReason): void {
    this.#errors = 0;
    this.#gatewayErrors = 0;
    if (this.#detector.mayEject()) this.#leave(reason);
  }

  #leave(reason: EjectionReason): void {
    const { config, env } = this.#detector;
    this.#times++;
    this.#wasEjected = true;
    this.#state = 'ejected';
    this.reason = reason;
    this.endpoint.available = false;
    const forMs = Math.min(config.ejectionBaseMs * this.#times, config.ejectionMaxMs);
    this.#timer = env.clock.after(forMs * (1 + JITTER * env.random()), () => this.#offerProbe());
    env.events.ejected(reason);
  }

  #offerProbe(): void {
    this.#timer = null;
    this.#state = 'probing';
    this.#isProbeOut = false;
    this.endpoint.available = true;
    this.#detector.env.events.returned();
  }
}

/** A gRPC status as the HTTP status that means the same (Envoy `Grpc::Utility::grpcToHttpStatus`). */
function statusOf(status: number, grpcStatus: number): number {
  return grpcStatus < 0 ? status : (GRPC_AS_HTTP[grpcStatus] ?? 500);
}

/** By gRPC code, from OK on. Only what is 500 and above counts. */
const GRPC_AS_HTTP: readonly number[] = [
  200, 499, 500, 400, 504, 404, 409, 403, 429, 400, 409, 400, 501, 500, 503, 500, 401,
];
