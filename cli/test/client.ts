/** The client's end of a played request: takes down what it is answered. Knows no request. */
import type { DownstreamStream } from '../../proxy/exchange/stream.ts';
import { HeaderList } from '../../proxy/http/headers.ts';
import type { ResponseHead } from '../../proxy/http/message.ts';

export class PlayedClient implements DownstreamStream {
  status = 0;
  headers = new HeaderList();
  body = '';
  /** It was cut off, not ended. */
  isBroken = false;
  isOver = false;

  writeHead(head: ResponseHead): void {
    this.status = head.status;
    this.headers = head.headers.clone();
  }

  writeData(chunk: Buffer, start: number, end: number): boolean {
    this.body += chunk.toString('utf8', start, end);
    return true;
  }

  end(): void {
    this.isOver = true;
  }

  reset(): void {
    this.isBroken = true;
    this.isOver = true;
  }

  writeInterim(): void {}
  pauseRequest(): void {}
  resumeRequest(): void {}
  closeAfter(): void {}
  tunnel(): void {}
}
