/**
 * The middle of a request: route, endpoint, attempts, relay of both bodies, answer, record.
 * Knows no socket and no protocol version; every step is a call from the client's end, from an attempt, or a deadline, without promise
 * or closure. What concerns one try alone is the attempt's.
 *
 *   parked --begin--> waiting (endpoint | backoff) <--> trying --> done
 *     any state: fail -> local answer (nothing sent down yet) or reset -> done
 *
 * Hooks: what stands before an endpoint is chosen goes into `#admit`, the choice is `#try`, what a bad outcome leads to is `#retry`,
 * and how an attempt ended is told to `UpstreamEndpoint.observer` by the attempt itself.
 */
import type { ForwardConfig, WeightedClusterConfig } from '../config/snapshot.ts';
import { Exchange, type DownstreamPeer } from '../exchange/exchange.ts';
import { FAILURES, type Failure, type FailureKind } from '../exchange/failure.ts';
import { continueHead, localAnswer, type LocalAnswer } from '../exchange/local-answer.ts';
import type { DownstreamSink, DownstreamStream, UpstreamStream } from '../exchange/stream.ts';
import type { EndpointWaiter, UpstreamCluster, UpstreamEndpoint } from '../exchange/upstream.ts';
import type { HeaderList } from '../http/headers.ts';
import type { RequestHead, ResponseHead } from '../http/message.ts';
import { chooseCluster, type Route } from '../routing/route.ts';
import { crossOrigin } from '../routing/cors.ts';
import { findRoute, type RouteTable } from '../routing/table.ts';
import { Attempt, type AttemptOwner } from './attempt.ts';
import { judgeBefore, type Hold } from './before.ts';
import type { ForwardContext } from './context.ts';
import { type DeadlineOwner, Deadlines, NEVER } from './deadlines.ts';
import { directAnswer } from './direct-answer.ts';
import { RequestBody } from './request-body.ts';
import { editRequest, editResponse } from './edits.ts';
import { hashOf } from './hash-key.ts';
import { callDeadlineMs, cutShort, noteHead, noteTrailers } from './grpc-call.ts';
import { sayIfRetried, tellNextHop } from './hops.ts';
import { chooseMirrors, Mirrors } from './mirror.ts';
import { outcomeOf, peerSaid } from './outcome.ts';
import { decideRetry, isInVain, retriedRequest, retryDelayMs, type AttemptOutcome } from './retry.ts';
import { earlierTry, nameRequest } from './recall.ts';
import { openTunnel } from './tunnel.ts';

type Phase = 'parked' | 'held' | 'endpoint' | 'backoff' | 'trying' | 'done';

/** RFC 9110 10.1.1: how long the proxy lets a client wait for `100 Continue` before it sends one itself. */
const CONTINUE_AFTER_MS = 1000;
const NO_ENDPOINTS: readonly UpstreamEndpoint[] = [];

export class Forwarding implements DownstreamSink, AttemptOwner, EndpointWaiter, DeadlineOwner {
  readonly exchange: Exchange;
  readonly #context: ForwardContext;
  readonly #downstream: DownstreamStream;
  readonly #due: Deadlines;
  #phase: Phase = 'parked';
  #action: ForwardConfig | null = null;
  #route: Route | null = null;
  #choice: WeightedClusterConfig | null = null;
  /** The present try. */
  #attempt: Attempt | null = null;
  #tried: UpstreamEndpoint[] | null = null;
  readonly #body: RequestBody;
  #answering = false;
  #mirrors: Mirrors | null = null;
  /** What follows when a delay on purpose is over. */
  #held: (() => void) | null = null;

  constructor(context: ForwardContext, downstream: DownstreamStream, peer: DownstreamPeer, head: RequestHead) {
    this.#context = context;
    this.#due = new Deadlines(this, context.clock, context.wheel);
    this.#downstream = downstream;
    this.exchange = new Exchange(peer, head, context.clock.now());
    this.#body = new RequestBody(downstream, context.replayBytes, head.body.kind === 'none');
    context.prepare(this.exchange);
  }

  /** Chooses route and cluster and starts the first attempt. */
  begin(table: RouteTable, clusters: ReadonlyMap<string, UpstreamCluster>): void {
    if (this.#phase !== 'parked') return;
    const x = this.exchange;
    const head = x.request;
    const found = findRoute(table, head.authority, head.method, head.path, head.headers);
    if (found === null) return this.fail('no-route', 'no route matches');
    const route = crossOrigin(found, head);
    this.#route = route;
    x.routeName = route.config.name;
    const { filters } = route.config;
    const hold = filters === undefined ? null : judgeBefore(filters, x, this.#context);
    if (hold === null) this.#act(route, clusters);
    else if (hold.delayMs === 0) this.#afterHold(hold, route, clusters);
    else {
      x.delayed = true;
      this.#phase = 'held';
      this.#held = () => this.#afterHold(hold, route, clusters);
      this.#due.waitMs = this.#context.clock.now() + hold.delayMs;
      this.#due.arm();
    }
  }

  /** Ends the exchange with a failure of ours or of the peer. */
  fail(kind: FailureKind, detail: string, side: Failure['side'] = 'local', sent: Failure['sent'] = 'nothing'): void {
    if (this.#phase === 'done') return;
    const failure: Failure = { kind, side, sent, detail };
    this.exchange.failure = failure;
    if (kind === 'request-timeout') this.#attempt?.silent(kind);
    this.#release();
    if (this.#answering) {
      this.#finish();
      return cutShort(this.#downstream, this.exchange, failure);
    }
    if (FAILURES[kind].close) this.#downstream.closeAfter();
    this.#answerLocally(localAnswer(failure, this.exchange.request));
  }

  // --- what the client's end tells us ---------------------------------------------------------------------------

  onRequestData(chunk: Buffer, start: number, end: number): void {
    if (this.#phase === 'done') return;
    this.exchange.bytesReceived += end - start;
    const { maxBodyBytes } = this.#context;
    if (maxBodyBytes > 0 && this.exchange.bytesReceived > maxBodyBytes) {
      return this.fail('payload-too-large', `the body is longer than ${maxBodyBytes} bytes`, 'downstream', 'body');
    }
    this.#due.moved();
    this.#mirrors?.take(chunk, start, end);
    this.#body.take(chunk, start, end, this.#attempt?.stream ?? null);
  }

  onRequestEnd(trailers: HeaderList | null): void {
    if (this.#body.hasEnded) return;
    this.#body.end(trailers);
    this.#mirrors?.end(trailers);
    const stream = this.#attempt?.stream;
    if (stream !== undefined && stream !== null) this.#body.sendEnd(stream);
  }

  onDownstreamDrain(): void {
    this.#attempt?.stream?.resumeResponse();
  }

  onDownstreamReset(detail: string): void {
    if (this.#phase === 'done') return;
    this.#attempt?.silent(null);
    this.exchange.failure = { kind: 'downstream-reset', side: 'downstream', sent: 'nothing', detail };
    this.#release();
    this.#finish();
  }

  // --- what an attempt tells us ---------------------------------------------------------------------------------

  onAttemptOpen(_attempt: Attempt, stream: UpstreamStream): void {
    const head = this.exchange.request;
    tellNextHop(this.exchange, this.#action, this.#due, this.#context.clock.now());
    stream.writeHead(head, head.body);
    const policy = this.#action?.retry ?? null;
    this.#body.sendTo(stream, policy !== null && this.exchange.attempts <= policy.attempts);
    if (head.expectContinue && !this.#body.hasEnded && this.exchange.attempts === 1) {
      this.#due.continueMs = this.#context.clock.now() + CONTINUE_AFTER_MS;
      this.#due.arm();
    }
  }

  onAttemptDrain(): void {
    this.#body.onUpstreamDrain();
  }

  onAttemptInterim(_attempt: Attempt, head: ResponseHead): void {
    if (this.#answering) return;
    if (head.status === 100) this.#due.continueMs = NEVER;
    this.#downstream.writeInterim(head);
  }

  onAttemptHead(attempt: Attempt, head: ResponseHead, peerKind: FailureKind | null, nowMs: number): void {
    this.#due.moved();
    const outcome = outcomeOf(head, peerKind, this.exchange.isGrpc);
    if (outcome !== null && this.#retry(attempt, outcome)) return;
    if (peerKind !== null) this.exchange.failure = peerSaid(peerKind);
    this.#answer(attempt, head, nowMs);
  }

  onAttemptData(attempt: Attempt, chunk: Buffer, start: number, end: number): void {
    this.exchange.bytesSent += end - start;
    this.#due.moved();
    if (!this.#downstream.writeData(chunk, start, end)) attempt.stream?.pauseResponse();
  }

  onAttemptEnd(_attempt: Attempt, trailers: HeaderList | null): void {
    noteTrailers(this.exchange, trailers);
    // Over before the client is told: its next request may be read within that call, and limits must not count this one any more.
    this.#finish();
    this.#downstream.end(trailers);
  }

  onAttemptFailure(attempt: Attempt, kind: FailureKind, sent: Failure['sent'], detail: string): void {
    if (this.#retry(attempt, { kind: 'failure', failure: { kind, side: 'upstream', sent, detail } })) return;
    this.fail(kind, detail, 'upstream', sent);
  }

  onEndpoints(): void {
    if (this.#phase === 'endpoint') this.#try();
  }

  onDue(nowMs: number): void {
    const due = this.#due;
    if (due.requestMs <= nowMs || due.callMs <= nowMs)
      this.fail('request-timeout', 'the request timeout is over', 'local', 'head');
    else if (due.idleMs <= nowMs) this.fail('idle-timeout', 'nothing moved for the idle timeout', 'local', 'head');
    else if (due.tryMs <= nowMs) this.#tryTimedOut();
    else if (due.waitMs <= nowMs) this.#waitOver();
    else if (due.continueMs <= nowMs) this.#sendContinue();
  }

  // --- steps ----------------------------------------------------------------------------------------------------

  /** What a filter left of the request, once its delay is over. */
  #afterHold({ refusal }: Hold, route: Route, clusters: ReadonlyMap<string, UpstreamCluster>): void {
    if (refusal === null) return this.#act(route, clusters);
    this.exchange.failure = refusal.failure;
    this.#answerLocally(refusal.answer);
  }

  #act(route: Route, clusters: ReadonlyMap<string, UpstreamCluster>): void {
    const action = route.config.action;
    if (action.kind !== 'forward') return this.#answerDirectly(route);
    this.#action = action;
    const choice = chooseCluster(route, this.#context.random);
    if (choice === null) return this.fail('unavailable-destination', 'every backend of the route has weight 0');
    const cluster = clusters.get(choice.cluster);
    if (cluster === undefined)
      return this.fail(action.missingCluster ?? 'no-cluster', `cluster ${choice.cluster} is not known`);
    this.#choice = choice;
    const mirrors = action.mirrors === undefined ? null : chooseMirrors(action.mirrors, clusters, this.#context.random);
    this.#admit(cluster, route, action, mirrors);
  }

  #admit(
    cluster: UpstreamCluster,
    route: Route,
    action: ForwardConfig,
    mirrors: readonly UpstreamCluster[] | null,
  ): void {
    const x = this.exchange;
    x.cluster = cluster;
    const { requests } = cluster.pod;
    if (!requests.take(cluster.config.limits.requests)) {
      x.cluster = null;
      this.fail('overflow', `cluster ${cluster.config.name} has ${requests.total} requests under way`);
      return;
    }
    // Retries of a hop before us pay for none of ours.
    if (x.outerAttempts <= 1) cluster.budgetDeposit(x.startMs);
    editRequest(x.request, route.config, action, this.#choice, cluster.config.service);
    // A delay on purpose takes nothing of the time that the answer may take (as in Envoy, whose clock starts behind the fault filter).
    this.#due.admit(x.delayed ? this.#context.clock.now() : x.startMs, action, callDeadlineMs(x), x.outerTimeoutMs);
    // An upgrade goes to one backend only.
    if (mirrors !== null && x.request.upgrade === '') {
      this.#mirrors = new Mirrors(mirrors, x.request, action.timeoutMs, this.#context);
      this.#body.copyTo(this.#mirrors);
    }
    this.#try();
    if (this.#body.hasEnded) this.#mirrors?.end(this.#body.trailers);
  }

  #try(): void {
    const x = this.exchange;
    const cluster = x.cluster;
    if (cluster === null) return;
    const now = this.#context.clock.now();
    const endpoint = cluster.picker.pick(now, this.#context.random, this.#tried ?? NO_ENDPOINTS, hashOf(cluster, x));
    if (endpoint === null) return this.#waitForEndpoint(cluster, now);
    cluster.unwait(this);
    x.endpoint = endpoint;
    x.attempts++;
    x.tryMs = now - x.startMs;
    const attempt = new Attempt(this, endpoint, this.#context.clock, now);
    this.#attempt = attempt;
    this.#phase = 'trying';
    this.#due.waitMs = NEVER;
    const perTryMs = this.#action?.retry?.perTryTimeoutMs ?? 0;
    this.#due.tryMs = perTryMs > 0 ? now + perTryMs : NEVER;
    this.#due.arm();
    attempt.start();
  }

  #waitForEndpoint(cluster: UpstreamCluster, now: number): void {
    if (this.#phase === 'endpoint') return;
    if (this.#tried !== null || this.#context.endpointWaitMs <= 0 || !cluster.wait(this)) {
      this.fail('no-healthy-endpoint', `cluster ${cluster.config.name} has no endpoint that is ready`);
      return;
    }
    this.#phase = 'endpoint';
    this.#due.waitMs = now + this.#context.endpointWaitMs;
    this.#due.arm();
  }

  /** True: another try is scheduled, and what came of this one is forgotten. */
  #retry(attempt: Attempt, outcome: AttemptOutcome): boolean {
    const x = this.exchange;
    const policy = this.#action?.retry ?? null;
    const { cluster } = x;
    if (policy === null || cluster === null || this.#answering) return false;
    const retried = retriedRequest(policy, x, this.#body.isReplayable);
    const verdict = decideRetry(policy, retried, outcome, x.attempts);
    const now = this.#context.clock.now();
    if (verdict !== 'yes' || !cluster.budgetWithdraw(now)) {
      if (isInVain(verdict, x.attempts)) this.#context.givenUp.note(x.traceId, this.#context.clock.wall());
      return false;
    }
    attempt.endpoint.meters.retry();
    (this.#tried ??= []).push(attempt.endpoint);
    (x.earlier ??= []).push(earlierTry(attempt, outcome, x, now));
    attempt.cancel();
    this.#attempt = null;
    x.endpoint = null;
    const afterMs = outcome.kind === 'response' ? outcome.retryAfterMs : 0;
    this.#phase = 'backoff';
    this.#due.tryMs = NEVER;
    this.#due.waitMs = now + retryDelayMs(policy, x.attempts - 1, afterMs, this.#context.random);
    this.#due.arm();
    return true;
  }

  #answer(attempt: Attempt, head: ResponseHead, now: number): void {
    const x = this.exchange;
    this.#answering = true;
    this.#due.answered();
    this.#body.release();
    noteHead(x, head);
    x.headMs = now - x.startMs;
    sayIfRetried(x, head.headers, this.#context);
    editResponse(head.headers, this.#route?.config ?? null, this.#choice);
    this.#downstream.writeHead(head, head.body);
    const upstream = head.status === 101 ? attempt.handOver() : null;
    if (upstream !== null) this.#tunnel(upstream);
  }

  /** Hands both ends over; what is left for us is the record. */
  #tunnel(upstream: UpstreamStream): void {
    this.#due.stop();
    const { idleTimeoutMs = 0 } = this.#action ?? {};
    openTunnel(this.exchange, this.#downstream, upstream, idleTimeoutMs, this.#context, () => this.#finish());
  }

  #answerDirectly(route: Route): void {
    this.#answerLocally(directAnswer(route.config, this.exchange.request));
  }

  /** Sends an answer of our own, with the headers of the route as Envoy has it, and ends the exchange; a body that is still coming ends with the connection. */
  #answerLocally({ head, bodyKind, body }: LocalAnswer): void {
    this.#answering = true;
    editResponse(head.headers, this.#route?.config ?? null, this.#choice);
    noteHead(this.exchange, head);
    nameRequest(this.exchange, head.headers);
    this.exchange.bytesSent += body.length;
    if (!this.#body.hasEnded) this.#downstream.closeAfter();
    this.#downstream.writeHead(head, bodyKind);
    if (body.length > 0) this.#downstream.writeData(body, 0, body.length);
    this.#finish();
    this.#downstream.end(null);
  }

  #tryTimedOut(): void {
    this.#due.tryMs = NEVER;
    const attempt = this.#attempt;
    if (attempt === null) return;
    attempt.silent('per-try-timeout');
    const failure: Failure = { kind: 'per-try-timeout', side: 'local', sent: 'head', detail: 'the try took too long' };
    if (this.#answering || this.#retry(attempt, { kind: 'failure', failure })) return;
    this.fail(failure.kind, failure.detail, failure.side, failure.sent);
  }

  #waitOver(): void {
    this.#due.waitMs = NEVER;
    if (this.#phase === 'held') this.#held?.();
    else if (this.#phase === 'backoff') this.#try();
    else if (this.#phase === 'endpoint') {
      this.fail('no-healthy-endpoint', `no endpoint became ready within ${this.#context.endpointWaitMs} ms`);
    }
  }

  #sendContinue(): void {
    this.#due.continueMs = NEVER;
    if (!this.#answering && !this.#body.hasEnded) this.#downstream.writeInterim(continueHead());
  }

  /** Gives up what waits and what runs. */
  #release(): void {
    if (this.#phase === 'endpoint') this.exchange.cluster?.unwait(this);
    this.#attempt?.cancel();
    this.#attempt = null;
  }

  #finish(): void {
    if (this.#phase === 'done') return;
    this.#phase = 'done';
    this.#attempt?.cancel();
    const { cluster } = this.exchange;
    if (cluster !== null) cluster.pod.requests.add(-1);
    this.#due.stop();
    this.#body.release();
    this.#context.record(this.exchange);
  }
}
