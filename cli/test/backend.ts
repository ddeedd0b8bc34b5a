/**
 * Endpoints that do as a test says, in the place of connections: when asked they answer, fail or stay silent, on a clock that is played.
 * Knows no route and no policy.
 */
import type { FakeClock } from '#base/fake-clock.ts';
import type { UpstreamSink, UpstreamStream } from '../../proxy/exchange/stream.ts';
import { HeaderList } from '../../proxy/http/headers.ts';
import { bodyOfLength, ResponseHead, type RequestHead } from '../../proxy/http/message.ts';
import type { Target } from '../../proxy/net/connect.ts';
import type { EndpointPool } from '../../proxy/upstream/pool.ts';
import type { ScriptedAnswer } from './format.ts';

/** What an endpoint was asked. */
export interface Asked {
  readonly target: Target;
  readonly head: RequestHead;
  body: string;
  /** Milliseconds on the played clock. */
  readonly atMs: number;
}

/** Says what comes of the next try. */
export type Script = (target: Target) => ScriptedAnswer;

export class PlayedPool implements EndpointPool {
  readonly connections = 1;
  readonly #target: Target;
  readonly #clock: FakeClock;
  readonly #script: Script;
  readonly #onAsked: (asked: Asked) => void;
  readonly #refused = new Set<UpstreamSink>();

  constructor(target: Target, clock: FakeClock, script: Script, onAsked: (asked: Asked) => void) {
    this.#target = target;
    this.#clock = clock;
    this.#script = script;
    this.#onAsked = onAsked;
  }

  acquire(sink: UpstreamSink): UpstreamStream | null {
    const answer = this.#script(this.#target);
    if (answer.fails !== 'connect-failure') {
      return new PlayedStream(sink, answer, this.#target, this.#clock, this.#onAsked);
    }
    this.#refused.add(sink);
    this.#clock.after(answer.afterMs, () => {
      if (this.#refused.delete(sink)) sink.onUpstreamFailure('connect-failure', 'nothing', 'the test says so');
    });
    return null;
  }

  cancel(sink: UpstreamSink): void {
    this.#refused.delete(sink);
  }

  close(): void {}
}

class PlayedStream implements UpstreamStream {
  readonly reused = false;
  readonly #sink: UpstreamSink;
  readonly #answer: ScriptedAnswer;
  readonly #target: Target;
  readonly #clock: FakeClock;
  readonly #onAsked: (asked: Asked) => void;
  #asked: Asked | null = null;
  #isOver = false;

  constructor(
    sink: UpstreamSink,
    answer: ScriptedAnswer,
    target: Target,
    clock: FakeClock,
    onAsked: (asked: Asked) => void,
  ) {
    this.#sink = sink;
    this.#answer = answer;
    this.#target = target;
    this.#clock = clock;
    this.#onAsked = onAsked;
  }

  writeHead(head: RequestHead): void {
    const copy = new RequestHeadCopy(head);
    this.#asked = { target: this.#target, head: copy.head, body: '', atMs: this.#clock.now() };
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
class RequestHeadCopy {
  readonly head: RequestHead;

  constructor(head: RequestHead) {
    this.head = Object.assign(Object.create(Object.getPrototypeOf(head) as object) as RequestHead, head, {
      headers: head.headers.clone(),
    });
  }
}
