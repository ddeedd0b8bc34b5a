/**
 * The tries of a request at one cluster: which endpoint is next, what follows from a failure or a bad answer, when another try starts
 * beside a slow one, and which of them is the answer.
 * Knows no client and no route but its retry policy; the request is written, and its answer read, by the owner.
 *
 *   start --> waiting for an endpoint <--> trying (one, or several beside each other) <--> backing off --> over
 *
 * No promise, no closure, and no object but one for each try: hedges and what was tried before are kept only where there are any.
 */
import type { Exchange } from '../exchange/exchange.ts';
import type { Failure, FailureKind } from '../exchange/failure.ts';
import type { UpstreamStream } from '../exchange/stream.ts';
import type { EndpointWaiter, UpstreamCluster, UpstreamEndpoint } from '../exchange/upstream.ts';
import type { ResponseHead } from '../http/message.ts';
import type { RetryConfig } from '../config/retries.ts';
import { Attempt, type AnswerSink, type AttemptOwner } from './attempt.ts';
import type { ForwardContext } from './context.ts';
import { type Deadlines, NEVER } from './deadlines.ts';
import { hashOf } from './hash-key.ts';
import { outcomeOf } from './outcome.ts';
import { endpointOf } from './session.ts';
import { earlierTry, wordOf } from './recall.ts';
import type { RequestBody } from './request-body.ts';
import {
  type AttemptOutcome,
  decideRetry,
  isAnswerable,
  isInVain,
  mayHedge,
  retriedRequest,
  retryDelayMs,
} from './retry.ts';

/** Nothing is called any more after one of the last two, nor after `cancel`. */
export interface TriesOwner extends AnswerSink {
  /** The request is to be written to `stream` now. */
  onTryOpen(attempt: Attempt, stream: UpstreamStream): void;
  onTryInterim(head: ResponseHead): void;
  /**
   * This is the answer; what follows its head is told as to an AnswerSink.
   * @param outcome what is wrong with it; null: nothing
   */
  onAnswer(
    attempt: Attempt,
    head: ResponseHead,
    peerKind: FailureKind | null,
    outcome: AttemptOutcome | null,
    nowMs: number,
  ): void;
  onGivenUp(failure: Failure): void;
}

const NO_ENDPOINTS: readonly UpstreamEndpoint[] = [];
const NO_ATTEMPTS: readonly Attempt[] = [];

export class Tries implements AttemptOwner, EndpointWaiter {
  readonly #cluster: UpstreamCluster;
  readonly #owner: TriesOwner;
  readonly #context: ForwardContext;
  readonly #exchange: Exchange;
  readonly #policy: RetryConfig | null;
  readonly #body: RequestBody;
  readonly #due: Deadlines;
  #state: 'waiting' | 'trying' | 'backoff' | 'over' = 'trying';
  #attempt: Attempt | null = null;
  /** Hedges under way beside it. */
  #beside: Attempt[] | null = null;
  #tried: UpstreamEndpoint[] | null = null;
  #hedges = 0;

  constructor(
    owner: TriesOwner,
    context: ForwardContext,
    exchange: Exchange,
    cluster: UpstreamCluster,
    policy: RetryConfig | null,
    body: RequestBody,
    due: Deadlines,
  ) {
    this.#owner = owner;
    this.#context = context;
    this.#exchange = exchange;
    this.#cluster = cluster;
    this.#policy = policy;
    this.#body = body;
    this.#due = due;
  }

  /** Where the request body goes as it comes; null: nowhere yet. Hedges begin once all of it is there. */
  get stream(): UpstreamStream | null {
    return this.#attempt === null ? null : this.#attempt.stream;
  }

  /** Whether the bytes of the request may be needed once more. */
  get mayRepeat(): boolean {
    const policy = this.#policy;
    return policy !== null && (policy.hedge !== undefined || this.#counted <= policy.attempts);
  }

  /** Starts a try, now that there is a reason to. */
  start(): void {
    const now = this.#context.clock.now();
    const endpoint = this.#pick(now, this.#tried ?? NO_ENDPOINTS);
    if (endpoint === null) {
      this.#waitForEndpoint(now);
      return;
    }
    if (this.#state === 'waiting') this.#cluster.unwait(this);
    this.#state = 'trying';
    const attempt = this.#create(endpoint, now);
    this.#attempt = attempt;
    this.#due.waitMs = NEVER;
    const hedge = this.#policy?.hedge;
    if (hedge !== undefined && this.#hedges < hedge.max) this.#due.hedgeMs = now + hedge.afterMs;
    this.#due.arm();
    attempt.start();
  }

  /** Gives everything up. */
  cancel(): void {
    if (this.#state === 'waiting') this.#cluster.unwait(this);
    this.#state = 'over';
    this.#due.waitMs = NEVER;
    this.#due.tryMs = NEVER;
    this.#due.hedgeMs = NEVER;
    for (const attempt of this.#beside ?? NO_ATTEMPTS) {
      attempt.endpoint.meters.hedge(false);
      attempt.cancel();
    }
    this.#beside = null;
    this.#attempt?.cancel();
    this.#attempt = null;
  }

  /** What is under way says nothing; see `Attempt.silent`. */
  silent(kind: FailureKind | null): void {
    this.#attempt?.silent(kind);
    for (const attempt of this.#beside ?? NO_ATTEMPTS) attempt.silent(kind);
  }

  // --- what is due ----------------------------------------------------------------------------------------------

  onWaitOver(): void {
    this.#due.waitMs = NEVER;
    if (this.#state === 'backoff') this.start();
    else if (this.#state === 'waiting') {
      this.#giveUp('no-healthy-endpoint', `no endpoint became ready within ${this.#context.endpointWaitMs} ms`);
    }
  }

  onTryDue(nowMs: number): void {
    for (const attempt of this.#underWay()) {
      if (attempt.dueMs > nowMs || this.#state === 'over') continue;
      attempt.silent('per-try-timeout');
      this.#failed(attempt, {
        kind: 'per-try-timeout',
        side: 'local',
        sent: 'head',
        detail: 'the try took too long',
      });
    }
    this.#armTry();
  }

  /** Another try beside those under way, if the request may be sent twice, another endpoint is there, and the budget allows it. */
  onHedgeDue(nowMs: number): void {
    const policy = this.#policy;
    const hedge = policy?.hedge;
    this.#due.hedgeMs = NEVER;
    if (policy === null || hedge === undefined || this.#state !== 'trying') return;
    if (!mayHedge(policy, retriedRequest(policy, this.#exchange, this.#body.isReplayable))) return;
    // The rest of the body may come, an endpoint or the budget come back: then it is tried once more.
    if (this.#body.hasEnded) this.#hedge(nowMs);
    if (this.#hedges < hedge.max) this.#due.hedgeMs = nowMs + hedge.afterMs;
  }

  onEndpoints(): void {
    if (this.#state === 'waiting') this.start();
  }

  // --- what an attempt tells us ---------------------------------------------------------------------------------

  onAttemptOpen(attempt: Attempt, stream: UpstreamStream): void {
    this.#owner.onTryOpen(attempt, stream);
  }

  onAttemptDrain(): void {
    this.#body.onUpstreamDrain();
  }

  onAttemptInterim(attempt: Attempt, head: ResponseHead): void {
    if (this.#isAlone(attempt)) this.#owner.onTryInterim(head);
  }

  onAttemptHead(attempt: Attempt, head: ResponseHead, peerKind: FailureKind | null, nowMs: number): void {
    this.#due.moved();
    const outcome = outcomeOf(head, peerKind, this.#exchange.isGrpc);
    if (outcome !== null && this.#goOn(attempt, outcome, nowMs)) return;
    this.#win(attempt);
    this.#owner.onAnswer(attempt, head, peerKind, outcome, nowMs);
  }

  onAttemptFailure(attempt: Attempt, kind: FailureKind, sent: Failure['sent'], detail: string): void {
    this.#failed(attempt, { kind, side: 'upstream', sent, detail });
  }

  // --- steps ----------------------------------------------------------------------------------------------------

  /** Tries that count against the policy's attempts: a hedge is none of those. */
  get #counted(): number {
    return this.#exchange.attempts - this.#hedges;
  }

  #pick(nowMs: number, avoided: readonly UpstreamEndpoint[]): UpstreamEndpoint | null {
    const cluster = this.#cluster;
    const { session } = this.#exchange;
    const meant = session === null ? null : endpointOf(session, cluster, avoided);
    if (meant !== null) return meant;
    return cluster.picker.pick(nowMs, this.#context.random, avoided, hashOf(cluster, this.#exchange));
  }

  #create(endpoint: UpstreamEndpoint, nowMs: number): Attempt {
    const x = this.#exchange;
    x.endpoint = endpoint;
    x.attempts++;
    x.tryMs = nowMs - x.startMs;
    const attempt = new Attempt(this, endpoint, this.#context.clock, nowMs);
    const perTryMs = this.#policy === null ? 0 : this.#policy.perTryTimeoutMs;
    if (perTryMs > 0) {
      attempt.dueMs = nowMs + perTryMs;
      if (attempt.dueMs < this.#due.tryMs) this.#due.tryMs = attempt.dueMs;
    }
    return attempt;
  }

  #waitForEndpoint(nowMs: number): void {
    if (this.#state === 'waiting') return;
    const { endpointWaitMs } = this.#context;
    if (this.#tried !== null || endpointWaitMs <= 0 || !this.#cluster.wait(this)) {
      this.#giveUp('no-healthy-endpoint', `cluster ${this.#cluster.config.name} has no endpoint that is ready`);
      return;
    }
    this.#state = 'waiting';
    this.#due.waitMs = nowMs + endpointWaitMs;
    this.#due.arm();
  }

  #failed(attempt: Attempt, failure: Failure): void {
    const now = this.#context.clock.now();
    if (!this.#goOn(attempt, { kind: 'failure', failure }, now)) this.#owner.onGivenUp(failure);
  }

  /** True: this one is given up, for another is under way or scheduled. */
  #goOn(attempt: Attempt, outcome: AttemptOutcome, nowMs: number): boolean {
    const x = this.#exchange;
    const policy = this.#policy;
    if (policy === null) return false;
    const verdict = decideRetry(policy, retriedRequest(policy, x, this.#body.isReplayable), outcome, this.#counted);
    if (!this.#isAlone(attempt)) {
      if (isAnswerable(verdict, outcome)) return false;
      this.#drop(attempt, outcome, nowMs);
      this.#armTry();
      return true;
    }
    if (verdict !== 'yes' || !this.#cluster.budgetWithdraw(nowMs)) {
      if (isInVain(verdict, x.attempts)) this.#context.givenUp.note(x.traceId, this.#context.clock.wall());
      return false;
    }
    attempt.endpoint.meters.retry();
    this.#drop(attempt, outcome, nowMs);
    x.endpoint = null;
    this.#state = 'backoff';
    this.#due.tryMs = NEVER;
    this.#due.hedgeMs = NEVER;
    const afterMs = outcome.kind === 'response' ? outcome.retryAfterMs : 0;
    this.#due.waitMs = nowMs + retryDelayMs(policy, this.#counted - 1, afterMs, this.#context.random);
    this.#due.arm();
    return true;
  }

  #hedge(nowMs: number): void {
    const under = this.#underWay().map(({ endpoint }) => endpoint);
    const avoided = this.#tried === null ? under : [...this.#tried, ...under];
    const endpoint = this.#pick(nowMs, avoided);
    if (endpoint === null || avoided.includes(endpoint) || !this.#cluster.budgetWithdraw(nowMs)) return;
    this.#hedges++;
    const attempt = this.#create(endpoint, nowMs);
    attempt.isHedge = true;
    (this.#beside ??= []).push(attempt);
    attempt.start();
  }

  /** Forgets what came of a try. */
  #drop(attempt: Attempt, outcome: AttemptOutcome, nowMs: number): void {
    const x = this.#exchange;
    (this.#tried ??= []).push(attempt.endpoint);
    (x.earlier ??= []).push(earlierTry(attempt, wordOf(outcome), x, nowMs));
    attempt.cancel();
    if (attempt.isHedge) attempt.endpoint.meters.hedge(false);
    if (this.#attempt === attempt) this.#attempt = null;
    else this.#beside?.splice(this.#beside.indexOf(attempt), 1);
  }

  #win(attempt: Attempt): void {
    this.#state = 'over';
    this.#due.hedgeMs = NEVER;
    if (this.#beside !== null) this.#outrun(attempt);
    this.#attempt = null;
    attempt.deliver(this.#owner);
  }

  /** The others are ended: that each was slower shows in its latency. */
  #outrun(winner: Attempt): void {
    const x = this.#exchange;
    const now = this.#context.clock.now();
    for (const attempt of this.#underWay()) {
      if (attempt.isHedge) attempt.endpoint.meters.hedge(attempt === winner);
      if (attempt === winner) continue;
      (x.earlier ??= []).push(earlierTry(attempt, 'outrun', x, now));
      attempt.silent(null);
      attempt.cancel();
    }
    this.#beside = null;
    x.endpoint = winner.endpoint;
    x.tryMs = winner.startMs - x.startMs;
  }

  #giveUp(kind: FailureKind, detail: string): void {
    this.#owner.onGivenUp({ kind, side: 'local', sent: 'nothing', detail });
  }

  #underWay(): readonly Attempt[] {
    const first = this.#attempt === null ? [] : [this.#attempt];
    return this.#beside === null ? first : [...first, ...this.#beside];
  }

  #isAlone(attempt: Attempt): boolean {
    if (this.#beside === null) return true;
    return this.#underWay().every((other) => other === attempt);
  }

  #armTry(): void {
    this.#due.tryMs = NEVER;
    for (const { dueMs } of this.#underWay()) if (dueMs < this.#due.tryMs) this.#due.tryMs = dueMs;
  }
}
