/**
 * Feeds bytes to a codec, cut in any way, and writes down what came out in a form that can be compared.
 * Plays the caller's part: goes on to the next message while the connection lives, and stops where a caller would.
 */
import type { HeaderList } from '../../../proxy/http/headers.ts';
import { RequestParser, type RequestSink } from '../../../proxy/http/h1/request-parser.ts';
import { ResponseParser, type ResponseSink } from '../../../proxy/http/h1/response-parser.ts';
import { DEFAULT_LIMITS, type HeadLimits, type RequestHead, type ResponseHead } from '../../../proxy/http/message.ts';

export interface Message {
  start: string;
  /** What the model says beside the fields, for requests `authority version body flags`. */
  model: string;
  fields: string[];
  body: string;
  trailers: string[];
  complete: boolean;
}

export interface Outcome {
  messages: Message[];
  /** `kind: detail`, or ''. */
  failure: string;
  /** Bytes left to the caller after the last message. */
  rest: string;
  /** Requests: 'idle', 'head' or 'body'; responses: what `finish` says, asked after the messages were noted. */
  end: string;
}

class Recorder implements RequestSink, ResponseSink {
  readonly messages: Message[] = [];
  stop = false;
  ended = false;
  #keepAlive = true;

  onRequestHead(head: RequestHead): void {
    const flags = `${head.keepAlive ? 'keep' : 'close'}${head.expectContinue ? ' expect' : ''}${head.upgrade === '' ? '' : ` upgrade=${head.upgrade}`}`;
    const model = `${head.scheme} ${head.authority} ${head.version} ${bodyText(head)} ${flags}`;
    this.#begin(`${head.method} ${head.path}`, model, head.headers);
    this.#keepAlive = head.keepAlive && head.method !== 'CONNECT';
  }

  onResponseHead(head: ResponseHead): void {
    const flags = `${head.keepAlive ? 'keep' : 'close'}${head.upgrade === '' ? '' : ` upgrade=${head.upgrade}`}`;
    const declared = head.declaredLength === -1 ? '' : ` declared=${head.declaredLength}`;
    this.#begin(`${head.status} ${head.reason}`, `${head.version} ${bodyText(head)} ${flags}${declared}`, head.headers);
    this.#keepAlive = head.keepAlive;
  }

  onInterim(head: ResponseHead): void {
    this.#begin(`${head.status} ${head.reason}`, `${head.version} interim`, head.headers);
    this.messages.at(-1)!.complete = true;
  }

  onBody(chunk: Buffer, start: number, end: number): void {
    this.messages.at(-1)!.body += chunk.toString('latin1', start, end);
  }

  onTrailers(trailers: HeaderList): void {
    this.messages.at(-1)!.trailers.push(...trailers.fields);
  }

  onMessageEnd(): void {
    this.messages.at(-1)!.complete = true;
    this.ended = true;
    this.stop = !this.#keepAlive;
  }

  #begin(start: string, model: string, headers: HeaderList): void {
    this.messages.push({ start, model, fields: headers.fields.slice(), body: '', trailers: [], complete: false });
  }
}

function bodyText(head: RequestHead | ResponseHead): string {
  return head.body.kind === 'length' ? `length=${head.body.length}` : head.body.kind;
}

/** Each piece is copied to a buffer of its own, so that nothing can lean on bytes that a socket would not keep. */
function cut(input: Buffer, cuts: readonly number[]): Buffer[] {
  const ends = [...cuts, input.length];
  return ends.map((end, i) => Buffer.from(input.subarray(i === 0 ? 0 : ends[i - 1], end)));
}

export function readRequests(
  input: Buffer,
  cuts: readonly number[] = [],
  limits: HeadLimits = DEFAULT_LIMITS,
): Outcome {
  const recorder = new Recorder();
  const parser = new RequestParser(recorder, limits);
  let rest = '';
  for (const piece of cut(input, cuts)) {
    let at = 0;
    while (at < piece.length && !recorder.stop && parser.failure === null) at = parser.execute(piece, at, piece.length);
    if (parser.failure === null) rest += piece.toString('latin1', at);
  }
  const end = parser.isIdle ? 'idle' : parser.inHead ? 'head' : 'body';
  return { messages: recorder.messages, failure: failureText(parser.failure), rest, end };
}

/** One exchange for each method of `asked`; the last one repeats. */
export function readResponses(
  input: Buffer,
  cuts: readonly number[] = [],
  asked: readonly string[] = ['GET'],
  upgrade = '',
): Outcome {
  const recorder = new Recorder();
  const parser = new ResponseParser(recorder, DEFAULT_LIMITS);
  let rest = '';
  let exchange = 0;
  parser.expect(asked[0]!, upgrade);
  for (const piece of cut(input, cuts)) {
    let at = 0;
    while (at < piece.length && !recorder.stop && parser.failure === null) {
      if (recorder.ended) {
        recorder.ended = false;
        exchange++;
        parser.expect(asked[Math.min(exchange, asked.length - 1)]!, upgrade);
      }
      at = parser.execute(piece, at, piece.length);
    }
    if (parser.failure === null) rest += piece.toString('latin1', at);
  }
  const messages = structuredClone(recorder.messages);
  const end = parser.finish();
  return { messages, failure: failureText(parser.failure), rest, end };
}

function failureText(failure: { kind: string; detail: string } | null): string {
  return failure === null ? '' : `${failure.kind}: ${failure.detail}`;
}

/** Every way to cut that is tried: byte by byte, and in two at every position. */
export function cutsOf(length: number): number[][] {
  const single = Array.from({ length: Math.max(0, length - 1) }, (_, i) => i + 1);
  return [single, ...single.map((at) => [at])];
}
