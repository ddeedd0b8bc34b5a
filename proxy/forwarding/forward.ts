/**
 * The middle of a request: route, cluster, relay of both bodies, answer, record; what else answers when the cluster cannot.
 * Knows no socket and no protocol version; every step is a call from the client's end, from the tries, or a deadline, without promise
 * or closure. Which endpoint is tried, and when again, is decided by the tries at a cluster (tries.ts).
 *
 *   parked --begin--> held (a delay on purpose) --> trying --> answering --> done
 *     any state: fail -> fallback, local answer (nothing sent down yet) or reset -> done
 */
import type { ForwardConfig, WeightedClusterConfig } from '../config/snapshot.ts';
import { Exchange, type DownstreamPeer } from '../exchange/exchange.ts';
import { FAILURES, type Failure, type FailureKind } from '../exchange/failure.ts';
import { continueHead, localAnswer, type LocalAnswer } from '../exchange/local-answer.ts';
import type { DownstreamSink, DownstreamStream, UpstreamStream } from '../exchange/stream.ts';
import type { UpstreamCluster } from '../exchange/upstream.ts';
import type { HeaderList } from '../http/headers.ts';
import { hasNoContent, NO_BODY, type RequestHead, type ResponseHead } from '../http/message.ts';
import { chooseCluster, type Route } from '../routing/route.ts';
import { crossOrigin } from '../routing/cors.ts';
import { findRoute, type RouteTable } from '../routing/table.ts';
import type { Attempt } from './attempt.ts';
import { judgeBefore, type Hold } from './before.ts';
import type { ForwardContext } from './context.ts';
import { type DeadlineOwner, Deadlines, NEVER } from './deadlines.ts';
import { directAnswer } from './direct-answer.ts';
import { RequestBody } from './request-body.ts';
import { editRequest, editResponse } from './edits.ts';
import { callDeadlineMs, cutShort, noteHead, noteTrailers } from './grpc-call.ts';
import { sayIfRetried, tellNextHop } from './hops.ts';
import { chooseMirrors, Mirrors } from './mirror.ts';
import { peerSaid } from './outcome.ts';
import { callsForFallback, FALLBACK_HEADER, fallbackAnswer, mayMove } from './fallback.ts';
import { nameRequest, triedInVain, wordOf } from './recall.ts';
import type { AttemptOutcome } from './retry.ts';
import { Tries, type TriesOwner } from './tries.ts';
import { clusterOf, keepSession, readSession } from './session.ts';
import { openTunnel } from './tunnel.ts';

type Phase = 'parked' | 'held' | 'trying' | 'answering' | 'done';

/** RFC 9110 10.1.1: how long the proxy lets a client wait for `100 Continue` before it sends one itself. */
const CONTINUE_AFTER_MS = 1000;

export class Forwarding implements DownstreamSink, TriesOwner, DeadlineOwner {
  readonly exchange: Exchange;
  readonly #context: ForwardContext;
  readonly #downstream: DownstreamStream;
  readonly #due: Deadlines;
  #phase: Phase = 'parked';
  #action: ForwardConfig | null = null;
  #route: Route | null = null;
  #choice: WeightedClusterConfig | null = null;
  #tries: Tries | null = null;
  /** Whose answer goes down. */
  #attempt: Attempt | null = null;
  /** Where the request goes when the route's own backend cannot answer; null: nowhere. */
  #fallback: UpstreamCluster | null = null;
  readonly #body: RequestBody;
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
    // Whatever answers in its place: an endpoint that said nothing until the end of the request is to blame.
    if (kind === 'request-timeout') this.#tries?.silent(kind);
    if (this.#fallBack({ kind: 'failure', failure })) return;
    this.exchange.failure = failure;
    this.#release();
    if (this.#phase === 'answering') {
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
    this.#body.take(chunk, start, end, this.#upstream);
  }

  onRequestEnd(trailers: HeaderList | null): void {
    if (this.#body.hasEnded) return;
    this.#body.end(trailers);
    this.#mirrors?.end(trailers);
    const stream = this.#upstream;
    if (stream !== null) this.#body.sendEnd(stream);
  }

  onDownstreamDrain(): void {
    this.#attempt?.stream?.resumeResponse();
  }

  onDownstreamReset(detail: string): void {
    if (this.#phase === 'done') return;
    this.#tries?.silent(null);
    this.exchange.failure = { kind: 'downstream-reset', side: 'downstream', sent: 'nothing', detail };
    this.#release();
    this.#finish();
  }

  // --- what the tries tell us -----------------------------------------------------------------------------------

  onTryOpen(attempt: Attempt, stream: UpstreamStream): void {
    const x = this.exchange;
    const head = x.request;
    const now = this.#context.clock.now();
    tellNextHop(x, this.#action, this.#due, attempt.dueMs, now);
    stream.writeHead(head, head.body);
    this.#body.sendTo(stream, this.#fallback !== null || this.#tries?.mayRepeat === true);
    if (head.expectContinue && !this.#body.hasEnded && x.attempts === 1) {
      this.#due.continueMs = now + CONTINUE_AFTER_MS;
      this.#due.arm();
    }
  }

  onTryInterim(head: ResponseHead): void {
    if (head.status === 100) this.#due.continueMs = NEVER;
    this.#downstream.writeInterim(head);
  }

  onAnswer(
    attempt: Attempt,
    head: ResponseHead,
    peerKind: FailureKind | null,
    outcome: AttemptOutcome | null,
    nowMs: number,
  ): void {
    this.#attempt = attempt;
    if (outcome !== null && this.#fallBack(outcome)) return;
    if (peerKind !== null) this.exchange.failure = peerSaid(peerKind);
    this.#answer(attempt, head, nowMs);
  }

  onGivenUp({ kind, detail, side, sent }: Failure): void {
    this.fail(kind, detail, side, sent);
  }

  onAnswerData(attempt: Attempt, chunk: Buffer, start: number, end: number): void {
    this.exchange.bytesSent += end - start;
    this.#due.moved();
    if (!this.#downstream.writeData(chunk, start, end)) attempt.stream?.pauseResponse();
  }

  onAnswerEnd(trailers: HeaderList | null): void {
    noteTrailers(this.exchange, trailers);
    // Over before the client is told: its next request may be read within that call, and limits must not count this one any more.
    this.#finish();
    this.#downstream.end(trailers);
  }

  onAnswerBroken(kind: FailureKind, sent: Failure['sent'], detail: string): void {
    this.fail(kind, detail, 'upstream', sent);
  }

  onDue(nowMs: number): void {
    const due = this.#due;
    if (due.requestMs <= nowMs || due.callMs <= nowMs)
      this.fail('request-timeout', 'the request timeout is over', 'local', 'head');
    else if (due.idleMs <= nowMs) this.fail('idle-timeout', 'nothing moved for the idle timeout', 'local', 'head');
    else if (due.tryMs <= nowMs) this.#tries?.onTryDue(nowMs);
    else if (due.hedgeMs <= nowMs) this.#tries?.onHedgeDue(nowMs);
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
    const x = this.exchange;
    if (action.session !== undefined) {
      x.session = readSession(action.session, x.request.headers, this.#context.clock.wall());
    }
    const kept = x.session === null ? null : clusterOf(x.session, action.clusters);
    const choice = kept ?? chooseCluster(route, this.#context.random);
    if (choice === null) return this.fail('unavailable-destination', 'every backend of the route has weight 0');
    const cluster = clusters.get(choice.cluster);
    if (cluster === undefined)
      return this.fail(action.missingCluster ?? 'no-cluster', `cluster ${choice.cluster} is not known`);
    this.#choice = choice;
    const { fallback } = action;
    if (fallback?.kind === 'cluster') this.#fallback = clusters.get(fallback.cluster) ?? null;
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
    if (!this.#enter(cluster)) return;
    editRequest(x.request, route.config, action, this.#choice, cluster.config.service);
    // A delay on purpose takes nothing of the time that the answer may take (as in Envoy, whose clock starts behind the fault filter).
    this.#due.admit(x.delayed ? this.#context.clock.now() : x.startMs, action, callDeadlineMs(x), x.outerTimeoutMs);
    // An upgrade goes to one backend only.
    if (mirrors !== null && x.request.upgrade === '') {
      this.#mirrors = new Mirrors(mirrors, x.request, action.timeoutMs, this.#context);
      this.#body.copyTo(this.#mirrors);
    }
    this.#try(cluster);
    if (this.#body.hasEnded) this.#mirrors?.end(this.#body.trailers);
  }

  /** Counts the request at a cluster; false: it has as many as it may, and that is said. */
  #enter(cluster: UpstreamCluster): boolean {
    const x = this.exchange;
    const { requests } = cluster.pod;
    if (!requests.take(cluster.config.limits.requests)) {
      this.fail('overflow', `cluster ${cluster.config.name} has ${requests.total} requests under way`);
      return false;
    }
    x.cluster = cluster;
    // Retries of a hop before us pay for none of ours.
    if (x.outerAttempts <= 1) cluster.budgetDeposit(x.startMs);
    return true;
  }

  #leave(): void {
    const { cluster } = this.exchange;
    if (cluster !== null) cluster.pod.requests.add(-1);
  }

  #try(cluster: UpstreamCluster): void {
    this.#phase = 'trying';
    const policy = this.#action?.retry ?? null;
    const tries = new Tries(this, this.#context, this.exchange, cluster, policy, this.#body, this.#due);
    this.#tries = tries;
    tries.start();
  }

  /** True: something else answers. Once, and only while nothing went down. */
  #fallBack(outcome: AttemptOutcome): boolean {
    const x = this.exchange;
    const config = this.#action?.fallback;
    if (config === undefined || x.fellBack !== '' || this.#phase === 'answering' || !callsForFallback(outcome))
      return false;
    const cluster = this.#fallback;
    if (
      config.kind === 'cluster' &&
      (cluster === null || !mayMove(this.#action?.retry ?? null, x, this.#body, outcome))
    )
      return false;
    x.fellBack = wordOf(outcome);
    if (x.endpoint !== null) (x.earlier ??= []).push(triedInVain(x, x.endpoint, this.#context.clock.now()));
    this.#context.fellBack(this.#choice?.cluster ?? '', x.fellBack);
    this.#release();
    if (config.kind === 'response') {
      if (outcome.kind === 'failure') x.failure = outcome.failure;
      this.#answerLocally(fallbackAnswer(config, x));
      return true;
    }
    this.#leave();
    x.cluster = null;
    x.endpoint = null;
    if (cluster !== null && this.#enter(cluster)) this.#try(cluster);
    return true;
  }

  #answer(attempt: Attempt, head: ResponseHead, now: number): void {
    const x = this.exchange;
    this.#phase = 'answering';
    this.#due.answered();
    this.#body.release();
    noteHead(x, head);
    x.headMs = now - x.startMs;
    sayIfRetried(x, head.headers, this.#context);
    if (x.fellBack !== '') head.headers.set(FALLBACK_HEADER, x.fellBack);
    editResponse(head.headers, this.#route?.config ?? null, this.#choice);
    const session = this.#action?.session;
    if (session !== undefined) keepSession(session, x, attempt.endpoint, head.headers, this.#context.clock.wall());
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
    // Bytes behind a head that has no content would be read as the next answer.
    const sizeBytes = hasNoContent(head.status) ? 0 : body.length;
    this.#phase = 'answering';
    editResponse(head.headers, this.#route?.config ?? null, this.#choice);
    noteHead(this.exchange, head);
    nameRequest(this.exchange, head.headers);
    this.exchange.bytesSent += sizeBytes;
    if (!this.#body.hasEnded) this.#downstream.closeAfter();
    this.#downstream.writeHead(head, sizeBytes === body.length ? bodyKind : NO_BODY);
    if (sizeBytes > 0) this.#downstream.writeData(body, 0, sizeBytes);
    this.#finish();
    this.#downstream.end(null);
  }

  #waitOver(): void {
    this.#due.waitMs = NEVER;
    if (this.#phase === 'held') this.#held?.();
    else this.#tries?.onWaitOver();
  }

  #sendContinue(): void {
    this.#due.continueMs = NEVER;
    if (this.#phase !== 'answering' && !this.#body.hasEnded) this.#downstream.writeInterim(continueHead());
  }

  /** Where the request body goes; null: nowhere yet. */
  get #upstream(): UpstreamStream | null {
    const attempt = this.#attempt;
    if (attempt !== null) return attempt.stream;
    return this.#tries === null ? null : this.#tries.stream;
  }

  /** Gives up what waits and what runs. */
  #release(): void {
    this.#tries?.cancel();
    this.#attempt?.cancel();
    this.#attempt = null;
  }

  #finish(): void {
    if (this.#phase === 'done') return;
    this.#phase = 'done';
    this.#attempt?.cancel();
    this.#leave();
    this.#due.stop();
    this.#body.release();
    this.#context.record(this.exchange);
  }
}
