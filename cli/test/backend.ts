/**
 * Endpoints that do as a test says, in the place of connections: when asked they answer, fail or stay silent, on a clock that is played.
 * Knows no route and no policy.
 */
import type { Clock } from '#base/clock.ts';
import type { UpstreamSink, UpstreamStream } from '../../proxy/exchange/stream.ts';
import { HeaderList } from '../../proxy/http/headers.ts';
import { bodyOfLength, RequestHead, ResponseHead } from '../../proxy/http/message.ts';
import type { EndpointPool } from '../../proxy/upstream/pool.ts';
import type { ScriptedAnswer } from './format.ts';

/** What an endpoint was asked. */
export interface Asked {
  readonly head: RequestHead;
  body: string;
}

/** What comes of a try, or of a copy. */
export interface Scripted {
  readonly answer: ScriptedAnswer;
  readonly onAsked: (asked: Asked) => void;
}

/** The connections to one endpoint. */
export class PlayedPool implements EndpointPool {
  readonly connections = 1;
  readonly #clock: Clock;
  readonly #connectTimeoutMs: number;
  readonly #script: () => Scripted;
  readonly #connecting = new Set<UpstreamSink>();

  /** @param script says what comes of the next try */
  constructor(clock: Clock, connectTimeoutMs: number, script: () => Scripted) {
    this.#clock = clock;
    this.#connectTimeoutMs = connectTimeoutMs;
    this.#script = script;
  }

  acquire(sink: UpstreamSink): UpstreamStream | null {
    const { answer, onAsked } = this.#script();
    if (answer.fails !== 'connect-failure') return new PlayedStream(sink, answer, this.#clock, onAsked);
    this.#connecting.add(sink);
    const isLate = answer.afterMs > this.#connectTimeoutMs;
    const kind = isLate ? 'connect-timeout' : 'connect-failure';
    this.#clock.after(isLate ? this.#connectTimeoutMs : answer.afterMs, () => {
      if (this.#connecting.delete(sink)) sink.onUpstreamFailure(kind, 'nothing', 'the test says so');
    });
    return null;
  }

  cancel(sink: UpstreamSink): void {
    this.#connecting.delete(sink);
  }

  close(): void {}
}

class PlayedStream implements UpstreamStream {
  readonly reused = false;
  readonly #sink: UpstreamSink;
  readonly #answer: ScriptedAnswer;
  readonly #clock: Clock;
  readonly #onAsked: (asked: Asked) => void;
  #asked: Asked | null = null;
  #isOver = false;

  constructor(sink: UpstreamSink, answer: ScriptedAnswer, clock: Clock, onAsked: (asked: Asked) => void) {
    this.#sink = sink;
    this.#answer = answer;
    this.#clock = clock;
    this.#onAsked = onAsked;
  }

  writeHead(head: RequestHead): void {
    this.#asked = { head: copyOf(head), body: '' };
    this.#onAsked(this.#asked);
    if (this.#answer.fails !== 'silence') this.#clock.after(this.#answer.afterMs, () => this.#play());
  }

  writeData(chunk: Buffer, start: number, end: number): boolean {
    if (this.#asked !== null) this.#asked.body += chunk.toString('utf8', start, end);
    return true;
  }

  reset(): void {
    this.#isOver = true;
  }

  end(): void {}
  pauseResponse(): void {}
  resumeResponse(): void {}
  tunnel(): void {}

  #play(): void {
    if (this.#isOver) return;
    const { status, fails, headers, body } = this.#answer;
    if (fails === 'reset' || fails === 'refused-stream') {
      this.#isOver = true;
      const kind = fails === 'reset' ? 'upstream-reset' : 'refused-stream';
      this.#sink.onUpstreamFailure(kind, fails === 'reset' ? 'body' : 'nothing', 'the test says so');
      return;
    }
    const bytes = Buffer.from(body);
    const list = new HeaderList(Object.entries(headers).flat());
    this.#sink.onResponseHead(new ResponseHead(11, status, '', list, bodyOfLength(bytes.length), true, 0, '', -1));
    if (this.#isOver) return;
    if (bytes.length > 0) this.#sink.onResponseData(bytes, 0, bytes.length);
    this.#isOver = true;
    this.#sink.onResponseEnd(null);
  }
}

/** As it was written: later tries change the one head of a request. */
function copyOf(head: RequestHead): RequestHead {
  const { method, path, scheme, authority, version, headers, body, keepAlive, expectContinue, upgrade } = head;
  return new RequestHead(
    method,
    path,
    scheme,
    authority,
    version,
    headers.clone(),
    body,
    keepAlive,
    expectContinue,
    upgrade,
    false,
  );
}
