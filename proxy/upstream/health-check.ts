/**
 * One health check by a request: asks over a pool, as requests go, and judges the answer. Knows no endpoint, no interval and no threshold.
 */
import type { FailureKind } from '../exchange/failure.ts';
import type { UpstreamSink, UpstreamStream } from '../exchange/stream.ts';
import type { CheckConfig } from '../config/endpoint-health.ts';
import { GRPC, grpcStatusIn } from '../http/grpc.ts';
import { GRPC_HEALTH_PATH, healthQuestion, healthStatus, MAX_HEALTH_ANSWER_BYTES } from '../http/grpc-health.ts';
import { HeaderList } from '../http/headers.ts';
import { bodyOfLength, NO_BODY, RequestHead, type BodyKind, type ResponseHead } from '../http/message.ts';
import type { EndpointPool } from './pool.ts';

/** What is asked by requests. */
export type AskedCheck = Exclude<CheckConfig, { readonly kind: 'tcp' }>;

/** As in `balancing/health.ts`, which this folder does not see. */
export interface Finding {
  readonly kind: 'failure' | 'network_failure';
  readonly detail: string;
}

/** As Envoy calls itself, `Envoy/HC`. */
const USER_AGENT = 'Tulle/HC';

/** @param done once, never within this call; null: it passed. What is returned gives the check up */
export function checkByRequest(
  pool: EndpointPool,
  check: AskedCheck,
  scheme: 'http' | 'https',
  done: (finding: Finding | null) => void,
): () => void {
  const running = new RequestCheck(pool, check, scheme, done);
  running.start();
  return () => running.cancel();
}

class RequestCheck implements UpstreamSink {
  readonly #pool: EndpointPool;
  readonly #check: AskedCheck;
  readonly #scheme: 'http' | 'https';
  readonly #done: (finding: Finding | null) => void;
  #stream: UpstreamStream | null = null;
  #isOver = false;
  #wasRepeated = false;
  #head: ResponseHead | null = null;
  #pieces: Buffer[] = [];
  #sizeBytes = 0;

  constructor(
    pool: EndpointPool,
    check: AskedCheck,
    scheme: 'http' | 'https',
    done: (finding: Finding | null) => void,
  ) {
    this.#pool = pool;
    this.#check = check;
    this.#scheme = scheme;
    this.#done = done;
  }

  start(): void {
    const stream = this.#pool.acquire(this);
    if (stream !== null) this.#ask(stream);
  }

  cancel(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    if (this.#stream === null) this.#pool.cancel(this);
    else this.#stream.reset();
  }

  onUpstreamReady(stream: UpstreamStream): void {
    if (this.#isOver) stream.reset();
    else this.#ask(stream);
  }

  onInterim(): void {}
  onUpstreamDrain(): void {}

  onResponseHead(head: ResponseHead): void {
    this.#head = head;
  }

  onResponseData(chunk: Buffer, start: number, end: number): void {
    if (this.#check.kind !== 'grpc') return;
    this.#sizeBytes += end - start;
    if (this.#sizeBytes <= MAX_HEALTH_ANSWER_BYTES) this.#pieces.push(Buffer.from(chunk.subarray(start, end)));
  }

  onResponseEnd(trailers: HeaderList | null): void {
    const head = this.#head;
    if (this.#isOver || head === null) return;
    const detail = this.#check.kind === 'http' ? this.#judgeStatus(head) : this.#judgeCall(head, trailers);
    this.#over(detail === '' ? null : { kind: 'failure', detail });
  }

  onUpstreamFailure(kind: FailureKind, _sent: 'nothing' | 'head' | 'body', detail: string): void {
    if (this.#isOver) return;
    // The other side may have closed an idle connection at this very moment, which says nothing of it.
    if (this.#stream?.reused === true && this.#head === null && !this.#wasRepeated) {
      this.#wasRepeated = true;
      this.#stream = null;
      this.start();
      return;
    }
    this.#over({ kind: 'network_failure', detail: detail === '' ? kind : `${kind}: ${detail}` });
  }

  #ask(stream: UpstreamStream): void {
    this.#stream = stream;
    const question = this.#check.kind === 'grpc' ? healthQuestion(this.#check.service) : null;
    const body = question === null ? NO_BODY : bodyOfLength(question.length);
    stream.writeHead(headOf(this.#check, this.#scheme, body), body);
    if (question !== null) stream.writeData(question, 0, question.length);
    stream.end(null);
  }

  #judgeStatus({ status, headers }: ResponseHead): string {
    if (this.#check.kind !== 'http') return '';
    if (this.#check.statuses.some(({ start, end }) => status >= start && status < end)) return '';
    const reason = headers.get('tulle-reason');
    return reason === undefined ? `status ${status}` : `status ${status}, ${reason}`;
  }

  #judgeCall({ status, headers }: ResponseHead, trailers: HeaderList | null): string {
    if (status !== 200) return `status ${status}`;
    const code = trailers === null ? grpcStatusIn(headers) : grpcStatusIn(trailers);
    if (code !== GRPC.ok) return code < 0 ? 'an answer without grpc-status' : `grpc-status ${code}`;
    const word = healthStatus(Buffer.concat(this.#pieces));
    return word === 'SERVING' ? '' : (word ?? 'an answer that is none of grpc.health.v1');
  }

  #over(finding: Finding | null): void {
    this.#isOver = true;
    this.#done(finding);
  }
}

function headOf(check: AskedCheck, scheme: 'http' | 'https', body: BodyKind): RequestHead {
  const isHttp = check.kind === 'http';
  const headers = new HeaderList(['user-agent', USER_AGENT]);
  if (!isHttp) {
    headers.add('content-type', 'application/grpc');
    headers.add('te', 'trailers');
  }
  const [method, path, authority] = isHttp
    ? ['GET', check.path, check.host]
    : ['POST', GRPC_HEALTH_PATH, check.authority];
  return new RequestHead(method, path, scheme, authority, 11, headers, body, true, false, '', false);
}
