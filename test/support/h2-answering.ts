/**
 * An HTTP/2 server of ours on a port of its own, whose exchanges answer as told, and records of what they saw.
 * Test-only.
 */
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { systemClock } from '../../base/clock.ts';
import { TimerWheel } from '../../base/timer-wheel.ts';
import {
  DEFAULT_H2_SERVER_TUNING,
  H2Server,
  type H2ServerOptions,
  type H2ServerTuning,
} from '../../proxy/downstream/h2-server.ts';
import { DEFAULT_PATIENCE } from '../../proxy/downstream/patience.ts';
import type { FailureKind } from '../../proxy/exchange/failure.ts';
import { responseHead } from '../../proxy/exchange/local-answer.ts';
import type { DownstreamSink, DownstreamStream } from '../../proxy/exchange/stream.ts';
import { HeaderList } from '../../proxy/http/headers.ts';
import { bodyOfLength, DEFAULT_LIMITS, type RequestHead } from '../../proxy/http/message.ts';

/** One request as its exchange sees it. */
export class Seen implements DownstreamSink {
  readonly stream: DownstreamStream;
  readonly head: RequestHead;
  body = '';
  bytes = 0;
  trailers: readonly string[] | null = null;
  ended = false;
  /** Why the client's end is gone; '' while it is not. */
  reset = '';
  /** What the client's end gave it up for. */
  failure = '';
  drains = 0;
  onEnd: () => void = () => {};
  onData: (chunk: Buffer, start: number, end: number) => void = () => {};
  onDrain: () => void = () => {};
  onReset: () => void = () => {};

  constructor(stream: DownstreamStream, head: RequestHead) {
    this.stream = stream;
    this.head = head;
  }

  onRequestData(chunk: Buffer, start: number, end: number): void {
    this.bytes += end - start;
    if (this.body.length < 65_536) this.body += chunk.latin1Slice(start, end);
    this.onData(chunk, start, end);
  }

  onRequestEnd(trailers: HeaderList | null): void {
    this.ended = true;
    this.trailers = trailers === null ? null : trailers.fields;
    this.onEnd();
  }

  onDownstreamDrain(): void {
    this.drains++;
    this.onDrain();
  }

  fail(kind: FailureKind, detail: string): void {
    this.failure = `${kind}: ${detail}`;
    this.onReset();
  }

  onDownstreamReset(detail: string): void {
    this.reset = detail;
    this.onReset();
  }
}

/** `200` with a body of text. */
export function answer(
  stream: DownstreamStream,
  text: string,
  fields: string[] = [],
  trailers: string[] | null = null,
): void {
  const body = Buffer.from(text, 'latin1');
  const kind = trailers === null ? bodyOfLength(body.length) : ({ kind: 'chunked' } as const);
  stream.writeHead(responseHead(200, new HeaderList(fields), kind), kind);
  stream.writeData(body, 0, body.length);
  stream.end(trailers === null ? null : new HeaderList(trailers));
}

/** Answers `hello` once the request is whole. */
export function whenWhole(seen: Seen): void {
  if (seen.head.body.kind === 'none') answer(seen.stream, 'hello');
  else seen.onEnd = () => answer(seen.stream, 'hello');
}

export interface AnsweringServer {
  readonly port: number;
  readonly seen: Seen[];
  readonly refused: string[];
  readonly abuse: string[];
  readonly stalls: string[];
  readonly connections: Set<H2Server>;
  /** Takes a connection that was not accepted on the port. */
  accept(socket: Socket): void;
  close(): void;
}

export async function answeringServer(
  onRequest: (seen: Seen) => void = whenWhole,
  tuning: Partial<H2ServerTuning> = {},
  options: Partial<H2ServerOptions> = {},
): Promise<AnsweringServer> {
  const seen: Seen[] = [];
  const refused: string[] = [];
  const abuse: string[] = [];
  const stalls: string[] = [];
  const connections = new Set<H2Server>();
  const wheel = new TimerWheel(systemClock);
  const accept = (socket: Socket): void => {
    connections.add(
      new H2Server(socket, {
        clock: systemClock,
        wheel,
        limits: DEFAULT_LIMITS,
        headTimeoutMs: 10_000,
        idleTimeoutMs: 60_000,
        tuning: { ...DEFAULT_H2_SERVER_TUNING, ...tuning },
        onRequest: (stream, head) => {
          const one = new Seen(stream, head);
          seen.push(one);
          onRequest(one);
          return one;
        },
        onRefused: (failure) => refused.push(`${failure.kind}: ${failure.detail}`),
        patience: DEFAULT_PATIENCE,
        onStalled: (stall) => stalls.push(stall),
        onAbuse: (reason) => abuse.push(reason),
        onClose: (connection) => connections.delete(connection),
        ...options,
      }),
    );
  };
  const server: Server = createServer({ allowHalfOpen: true, noDelay: true }, accept);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    seen,
    refused,
    abuse,
    stalls,
    connections,
    accept,
    close: () => {
      server.close();
      for (const connection of connections) connection.destroy();
    },
  };
}
