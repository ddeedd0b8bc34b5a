/**
 * The shortest way through: a request of our server goes out on our client, and its answer back, each side pausing the other. No route, no retry.
 * Test-only.
 */
import type { FailureKind } from '../../proxy/exchange/failure.ts';
import type { DownstreamSink, DownstreamStream, UpstreamSink, UpstreamStream } from '../../proxy/exchange/stream.ts';
import type { HeaderList } from '../../proxy/http/headers.ts';
import type { RequestHead, ResponseHead } from '../../proxy/http/message.ts';
import type { H2Client } from '../../proxy/upstream/h2-client.ts';

export class Relay implements DownstreamSink, UpstreamSink {
  readonly #down: DownstreamStream;
  readonly #up: UpstreamStream | null;

  constructor(down: DownstreamStream, head: RequestHead, client: H2Client) {
    this.#down = down;
    this.#up = client.openStream(this);
    if (this.#up === null) this.#down.reset();
    else this.#up.writeHead(head, head.body);
  }

  onRequestData(chunk: Buffer, start: number, end: number): void {
    if (this.#up?.writeData(chunk, start, end) === false) this.#down.pauseRequest();
  }
  onRequestEnd(trailers: HeaderList | null): void {
    this.#up?.end(trailers);
  }
  fail(): void {}
  onDownstreamDrain(): void {
    this.#up?.resumeResponse();
  }
  onDownstreamReset(): void {
    this.#up?.reset();
  }

  onUpstreamReady(): void {}
  onInterim(head: ResponseHead): void {
    this.#down.writeInterim(head);
  }
  onResponseHead(head: ResponseHead): void {
    this.#down.writeHead(head, head.body);
  }
  onResponseData(chunk: Buffer, start: number, end: number): void {
    if (!this.#down.writeData(chunk, start, end)) this.#up?.pauseResponse();
  }
  onResponseEnd(trailers: HeaderList | null): void {
    this.#down.end(trailers);
  }
  onUpstreamDrain(): void {
    this.#down.resumeRequest();
  }
  onUpstreamFailure(_kind: FailureKind, _sent: string, _detail: string): void {
    this.#down.reset();
  }
}
