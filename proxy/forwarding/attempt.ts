/**
 * One try of a request: an endpoint, a stream to it, how long it took, and what came of it.
 * Knows no route, no retry and no other try: its owner decides until the head of an answer is there, and says who gets the rest of it.
 * Several may run beside each other.
 *
 *   asked --stream--> open --end, failure or cancel--> over
 *
 * The endpoint's observer, if it has one, is told once of each attempt that ended, and of none that nobody waited for.
 */
import type { Clock } from '#base/clock.ts';
import type { Failure, FailureKind } from '../exchange/failure.ts';
import type { UpstreamSink, UpstreamStream } from '../exchange/stream.ts';
import type { UpstreamEndpoint } from '../exchange/upstream.ts';
import { grpcStatusIn } from '../http/grpc.ts';
import type { HeaderList } from '../http/headers.ts';
import type { ResponseHead } from '../http/message.ts';
import { NEVER } from './deadlines.ts';
import { peerFailure } from './outcome.ts';

/** Who an attempt belongs to until it is answered. Nothing is called any more once it is over. */
export interface AttemptOwner {
  /** The request is to be written to `stream` now; within `start`, or later. */
  onAttemptOpen(attempt: Attempt, stream: UpstreamStream): void;
  onAttemptInterim(attempt: Attempt, head: ResponseHead): void;
  /**
   * `deliver` or `cancel` before it returns.
   * @param peerKind the failure that the peer's sidecar names as the reason of this answer; null: the application answers
   */
  onAttemptHead(attempt: Attempt, head: ResponseHead, peerKind: FailureKind | null, nowMs: number): void;
  onAttemptDrain(attempt: Attempt): void;
  /** The attempt is over. */
  onAttemptFailure(attempt: Attempt, kind: FailureKind, sent: Failure['sent'], detail: string): void;
}

/** Who gets what follows the head of an answer. */
export interface AnswerSink {
  /** The bytes are valid only during the call. */
  onAnswerData(attempt: Attempt, chunk: Buffer, start: number, end: number): void;
  /** The attempt is over. */
  onAnswerEnd(trailers: HeaderList | null): void;
  /** The attempt is over. */
  onAnswerBroken(kind: FailureKind, sent: Failure['sent'], detail: string): void;
}

const FAILURE_COST_MS = 1000;
/** So long an endpoint that failed is avoided while there are others; then one request in a while finds out whether it is back. */
const FAILURE_MEMORY_MS = 1000;

export class Attempt implements UpstreamSink {
  readonly endpoint: UpstreamEndpoint;
  /** Clock milliseconds. */
  readonly startMs: number;
  /** Clock milliseconds at which it must have been answered; NEVER: no limit of its own. */
  dueMs = NEVER;
  /** It was started beside another. */
  isHedge = false;
  readonly #owner: AttemptOwner;
  #sink: AnswerSink | null = null;
  readonly #clock: Clock;
  #state: 'asked' | 'open' | 'over' = 'asked';
  #stream: UpstreamStream | null = null;
  #status = 0;
  #grpcStatus = -1;
  #failure: FailureKind | null = null;

  constructor(owner: AttemptOwner, endpoint: UpstreamEndpoint, clock: Clock, nowMs: number) {
    this.endpoint = endpoint;
    this.#owner = owner;
    this.#clock = clock;
    this.startMs = nowMs;
    endpoint.inFlight++;
  }

  /** Null before it is open, after its end, and when it was handed over. */
  get stream(): UpstreamStream | null {
    return this.#stream;
  }

  /** The head of an answer came. */
  get isAnswered(): boolean {
    return this.#status > 0;
  }

  /** Asks for a stream; apart from birth, for the owner may be called at once. */
  start(): void {
    const stream = this.endpoint.acquire(this);
    if (stream !== null) this.#open(stream);
  }

  /** Who gets the rest of the answer, whose head the owner has just seen. */
  deliver(sink: AnswerSink): void {
    this.#sink = sink;
  }

  /** Gives it up, or ends it after its stream was handed over. The owner hears no more. */
  cancel(): void {
    if (this.#state === 'asked') this.endpoint.cancel(this);
    else this.#stream?.reset();
    this.#over();
  }

  /** An endpoint that says nothing must not look idle and fast: the silence counts as an answer that took so long, and as a failure if `kind` says so. */
  silent(kind: FailureKind | null): void {
    if (this.#state === 'over' || this.isAnswered) return;
    const now = this.#clock.now();
    this.endpoint.latency.observe(now - this.startMs, now);
    this.#failure = kind;
  }

  /** The stream, for a tunnel; the attempt counts as under way until `cancel`. */
  handOver(): UpstreamStream | null {
    const stream = this.#stream;
    this.#stream = null;
    return stream;
  }

  // --- what the endpoint's end tells us -------------------------------------------------------------------------

  onUpstreamReady(stream: UpstreamStream): void {
    if (this.#state === 'asked') this.#open(stream);
    else stream.reset();
  }

  onInterim(head: ResponseHead): void {
    this.#owner.onAttemptInterim(this, head);
  }

  onResponseHead(head: ResponseHead): void {
    const now = this.#clock.now();
    this.endpoint.latency.observe(now - this.startMs, now);
    // Only a sidecar that proved its identity may say why it answered itself; from anyone else the word is dropped.
    const kind = this.endpoint.config.mtls ? peerFailure(head.headers.get('tulle-reason')) : null;
    if (kind === null) head.headers.remove('tulle-reason');
    this.#status = head.status;
    this.#failure = kind;
    if (this.endpoint.observer !== null) this.#grpcStatus = grpcStatusIn(head.headers);
    this.#owner.onAttemptHead(this, head, kind, now);
  }

  onResponseData(chunk: Buffer, start: number, end: number): void {
    this.#sink?.onAnswerData(this, chunk, start, end);
  }

  onResponseEnd(trailers: HeaderList | null): void {
    if (trailers !== null && this.endpoint.observer !== null && this.#grpcStatus < 0) {
      this.#grpcStatus = grpcStatusIn(trailers);
    }
    this.#stream = null;
    this.#over();
    this.#sink?.onAnswerEnd(trailers);
  }

  onUpstreamDrain(): void {
    this.#owner.onAttemptDrain(this);
  }

  onUpstreamFailure(kind: FailureKind, sent: Failure['sent'], detail: string): void {
    if (this.#state === 'over') return;
    this.#stream = null;
    this.#failure = kind;
    this.endpoint.latency.penalize(FAILURE_COST_MS, this.#clock.now() + FAILURE_MEMORY_MS);
    this.#over();
    if (this.#sink === null) this.#owner.onAttemptFailure(this, kind, sent, detail);
    else this.#sink.onAnswerBroken(kind, sent, detail);
  }

  #open(stream: UpstreamStream): void {
    this.#state = 'open';
    this.#stream = stream;
    this.#owner.onAttemptOpen(this, stream);
  }

  #over(): void {
    if (this.#state === 'over') return;
    this.#state = 'over';
    this.#stream = null;
    this.endpoint.inFlight--;
    const { observer } = this.endpoint;
    if (observer === null || (this.#status === 0 && this.#failure === null)) return;
    observer.attemptOver(this.#status, this.#grpcStatus, this.#failure, this.#clock.now());
  }
}
