/**
 * One request of a client on an HTTP/2 connection: frames to the exchange, the exchange's answer to frames.
 * Knows its connection and its sink; knows no socket and no other stream.
 */
import { Deadline, type TimerWheel } from '#base/timer-wheel.ts';
import type { Failure } from '../exchange/failure.ts';
import { localAnswer } from '../exchange/local-answer.ts';
import type { DownstreamSink, DownstreamStream } from '../exchange/stream.ts';
import { isGrpc } from '../http/grpc.ts';
import type { HeaderList } from '../http/headers.ts';
import type { H2Connection } from '../http/h2/connection.ts';
import { ERROR, errorWord } from '../http/h2/frames.ts';
import { readTrailers, responseFields } from '../http/h2/response-fields.ts';
import { SendQueue } from '../http/h2/send-queue.ts';
import { STATE } from '../http/h2/stream-state.ts';
import { type AbortedBy, H2Stream } from '../http/h2/stream.ts';
import type { BodyKind, RequestHead, ResponseHead } from '../http/message.ts';
import { hideSuccess, settleConnect } from '../http/upgrade.ts';
import { ACCEPT_FIELD, KEY_FIELD, WEBSOCKET, websocketKey } from '../http/websocket.ts';
import { type Patience, type Stall, Standstill } from './patience.ts';

/** A client has so long to end a request whose answer is there. */
const LINGER_MS = 1000;

/**
 * RFC 9113 8.1: an answer that needs no more of the request stops it. A moment later, for a client that finds both in one read may lose the
 * answer (decision 020); until then what comes is read and dropped.
 */
class RequestStop extends Deadline {
  readonly #connection: H2Connection;
  readonly #stream: H2Stream;

  constructor(connection: H2Connection, stream: H2Stream) {
    super();
    this.#connection = connection;
    this.#stream = stream;
  }

  override onDeadline(): void {
    this.#connection.reset(this.#stream, ERROR.none);
  }
}

export class H2ServerStream extends H2Stream implements DownstreamStream {
  readonly #connection: H2Connection;
  readonly #wheel: TimerWheel;
  #sink: DownstreamSink | null = null;
  #toHead = false;
  #requestDone = false;
  #answerBegun = false;
  #answerDone = false;
  /** A head whose answer may have no content: it waits to learn whether trailers follow, or ends the stream itself. */
  #heldHead: string[] | null = null;
  /** Asked for another protocol: what comes is no body, and waits for a tunnel. */
  #asking = false;
  #tunneling = false;
  #early: SendQueue | null = null;
  #head: RequestHead | null = null;
  #bodyStill: Standstill | null = null;
  #stop: RequestStop | null = null;
  /** The client need not know of the key that HTTP/1.1 wants, nor of its answer. */
  #ownKey = false;

  constructor(connection: H2Connection, wheel: TimerWheel, id: number, windowBytes: number) {
    super(0, windowBytes);
    this.#connection = connection;
    this.#wheel = wheel;
    this.id = id;
    this.state = STATE.open;
    connection.add(this);
  }

  /** Makes the request an exchange. @param begin gives the sink that hears of the rest */
  start(
    head: RequestHead,
    endStream: boolean,
    begin: (stream: H2ServerStream, head: RequestHead) => DownstreamSink,
  ): void {
    if (head.upgrade !== '') this.#ask(head);
    this.#head = head;
    this.#toHead = head.method === 'HEAD';
    if (head.body.kind === 'length') this.expectedBytes = head.body.length;
    if (endStream) this.#endRequest();
    const sink = begin(this, head);
    // An answer given at once is over before there was a sink to tell.
    if (this.#answerDone) return;
    this.#sink = sink;
    if (endStream && head.body.kind !== 'none') sink.onRequestEnd(null);
  }

  /** RFC 8441 5.1: a WebSocket of HTTP/2 has no key, and one of HTTP/1.1 must have one. */
  #ask(head: RequestHead): void {
    settleConnect(head);
    if (head.upgrade === '') return;
    this.#asking = true;
    // What comes before the answer is not paid back, so that the window bounds it.
    this.paused = true;
    if (head.upgrade !== WEBSOCKET || head.headers.has(KEY_FIELD)) return;
    this.#ownKey = true;
    head.headers.add(KEY_FIELD, websocketKey());
  }

  /** Refuses a request that does not become an exchange. */
  refuse(failure: Failure, endStream: boolean): void {
    if (endStream) this.#endRequest();
    const answer = localAnswer(failure, null);
    this.writeHead(answer.head, answer.bodyKind);
    this.writeData(answer.body, 0, answer.body.length);
    this.end(null);
  }

  #endRequest(): void {
    this.#requestDone = true;
    if (this.state === STATE.open) this.state = STATE.halfClosedRemote;
  }

  // --- from the client -------------------------------------------------------------------------------------------

  override onFields(fields: readonly string[], endStream: boolean, tooLarge: string | null): void {
    if (this.#asking || this.#tunneling) return this.#refuseTrailers('a header section within a tunnel');
    if (!endStream) return this.#refuseTrailers('a second header section that does not end the stream');
    if (tooLarge !== null) return this.#refuseTrailers(tooLarge);
    const trailers = readTrailers(fields);
    if (typeof trailers === 'string') return this.#refuseTrailers(trailers);
    if (!this.#connection.endReceived(this)) return;
    this.#endsItself();
    this.#sink?.onRequestEnd(trailers.size === 0 ? null : trailers);
  }

  #refuseTrailers(detail: string): void {
    this.#connection.streamError(this, ERROR.protocol, detail);
  }

  override onContent(chunk: Buffer, start: number, end: number): void {
    if (this.#asking) (this.#early ??= new SendQueue()).push(chunk, start, end);
    else this.#sink?.onRequestData(chunk, start, end);
  }

  override onContentEnd(): void {
    this.#endsItself();
    if (this.#asking) return;
    const sink = this.#sink;
    if (this.#tunneling && this.#answerDone) this.#sink = null;
    sink?.onRequestEnd(null);
  }

  /** What the client has stood still with for too long; to be asked now and then. */
  stallOf(nowMs: number, { bodyIdleMs, flushMs }: Patience): Stall | null {
    if (!this.#isBodyDue()) this.#bodyStill = null;
    else if ((this.#bodyStill ??= new Standstill()).isTooLong(this.receivedBytes, nowMs, bodyIdleMs)) {
      return 'request-body';
    }
    // A tunnel has a bound of its own, if it has one.
    const isWaiting = !this.#tunneling && this.queue !== null && this.queue.sizeBytes > 0;
    return isWaiting && nowMs - this.stuckSinceMs >= flushMs ? 'answer' : null;
  }

  giveUpBody(detail: string): void {
    this.#sink?.fail('request-body-timeout', detail, 'downstream', 'body');
  }

  /**
   * The client has announced more of its body, and may send it. A call may be silent as long as it likes (gRPC), and behind an answer only
   * a length announces.
   */
  #isBodyDue(): boolean {
    if (this.#sink === null || this.#requestDone || this.#asking || this.#tunneling || this.paused) return false;
    if (this.expectedBytes >= 0) return true;
    return !this.#answerBegun && this.#head !== null && !isGrpc(this.#head.headers);
  }

  override onWritable(): void {
    this.#sink?.onDownstreamDrain();
  }

  override onEndSent(): void {
    if (this.#requestDone || this.#tunneling) return;
    this.#stop = new RequestStop(this.#connection, this);
    this.#wheel.schedule(this.#stop, LINGER_MS);
    this.resumeRequest();
  }

  #endsItself(): void {
    this.#requestDone = true;
    if (this.#stop !== null) this.#wheel.cancel(this.#stop);
  }

  override onAborted(code: number, detail: string, by: AbortedBy): void {
    this.#answerDone = true;
    if (this.#stop !== null) this.#wheel.cancel(this.#stop);
    const sink = this.#sink;
    this.#sink = null;
    sink?.onDownstreamReset(by === 'peer' ? `the client reset the stream: ${errorWord(code)}` : detail);
  }

  // --- to the client ---------------------------------------------------------------------------------------------

  writeInterim(head: ResponseHead): void {
    if (this.#answerBegun || this.#answerDone) return;
    this.#connection.sender.fields(this, responseFields(head, head.body), false);
  }

  writeHead(head: ResponseHead, body: BodyKind): void {
    if (this.#answerBegun || this.#answerDone) return;
    this.#answerBegun = true;
    if (this.#asking) hideSuccess(head);
    if (this.#ownKey) head.headers.remove(ACCEPT_FIELD);
    const fields = responseFields(head, body);
    if (head.status === 101) this.#connection.sender.fields(this, fields, false);
    else if (this.#toHead || body.kind === 'none') this.#finish(fields, null);
    else if (body.kind === 'length' && body.length === 0) this.#heldHead = fields;
    else this.#connection.sender.fields(this, fields, false);
  }

  writeData(chunk: Buffer, start: number, end: number): boolean {
    if (this.#answerDone || start === end) return true;
    return this.#connection.sender.content(this, chunk, start, end);
  }

  end(trailers: HeaderList | null): void {
    if (this.#answerDone || !this.#answerBegun) return;
    if (this.#tunneling) {
      this.#answerDone = true;
      if (this.#requestDone) this.#sink = null;
      this.#connection.sender.end(this, null);
    } else this.#finish(this.#heldHead, trailers === null || trailers.size === 0 ? null : trailers.fields);
  }

  /** @param head a head that was not sent yet */
  #finish(head: string[] | null, trailers: readonly string[] | null): void {
    this.#answerDone = true;
    this.#sink = null;
    this.#heldHead = null;
    const { sender } = this.#connection;
    if (head !== null) sender.fields(this, head, trailers === null);
    if (head === null || trailers !== null) sender.end(this, trailers);
  }

  tunnel(sink: DownstreamSink): void {
    this.#sink = sink;
    this.#asking = false;
    this.#tunneling = true;
    this.resumeRequest();
    const early = this.#early;
    this.#early = null;
    early?.moveTo({ bytes: (chunk, start, end) => sink.onRequestData(chunk, start, end) }, early.sizeBytes);
    if (this.#requestDone) sink.onRequestEnd(null);
  }

  reset(): void {
    if (this.#answerDone && !this.#tunneling) return;
    this.#answerDone = true;
    this.#sink = null;
    this.#connection.reset(this, ERROR.internal);
  }

  pauseRequest(): void {
    this.paused = true;
  }

  resumeRequest(): void {
    this.#connection.resume(this);
  }

  /** Nothing: here the end of one stream says nothing of the connection, and a request that is not wanted any more is reset alone. */
  closeAfter(): void {}
}
