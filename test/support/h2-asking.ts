/**
 * An HTTP/2 client connection of ours to a port, and sinks that record what becomes of each request on it.
 * Test-only.
 */
import { connect } from 'node:net';
import { systemClock } from '../../base/clock.ts';
import { TimerWheel } from '../../base/timer-wheel.ts';
import type { FailureKind } from '../../proxy/exchange/failure.ts';
import type { UpstreamSink, UpstreamStream } from '../../proxy/exchange/stream.ts';
import { HeaderList } from '../../proxy/http/headers.ts';
import {
  type BodyKind,
  CHUNKED_BODY,
  DEFAULT_LIMITS,
  NO_BODY,
  RequestHead,
  type ResponseHead,
} from '../../proxy/http/message.ts';
import type { OpenedSocket } from '../../proxy/net/connect.ts';
import type { OnData } from '../../proxy/net/reads.ts';
import { DEFAULT_H2_CLIENT_TUNING, H2Client, type H2ClientTuning } from '../../proxy/upstream/h2-client.ts';

export function requestHead(method = 'GET', path = '/', fields: string[] = [], body: BodyKind = NO_BODY): RequestHead {
  return new RequestHead(method, path, 'http', 'a', 11, new HeaderList(fields), body, true, false, '', false);
}

/** What one request saw, in words. */
export class Asked implements UpstreamSink {
  readonly events: string[] = [];
  stream: UpstreamStream | null = null;
  head: ResponseHead | null = null;
  body = '';
  bytes = 0;
  drains = 0;
  onEvent: () => void = () => {};
  onData: () => void = () => {};
  onDrain: () => void = () => {};

  #note(event: string): void {
    this.events.push(event);
    this.onEvent();
  }

  /** Resolves when it is over. */
  over(): Promise<string[]> {
    return new Promise((resolve) => {
      const look = (): void => {
        if (this.events.some((event) => event.startsWith('end') || event.startsWith('failed'))) resolve(this.events);
      };
      this.onEvent = look;
      look();
    });
  }

  onUpstreamReady(): void {}

  onInterim(head: ResponseHead): void {
    this.#note(`interim ${head.status}`);
  }

  onResponseHead(head: ResponseHead): void {
    this.head = head;
    this.#note(`head ${head.status} ${head.body.kind}`);
  }

  onResponseData(chunk: Buffer, start: number, end: number): void {
    this.bytes += end - start;
    if (this.body.length < 65_536) this.body += chunk.latin1Slice(start, end);
    this.onData();
  }

  onResponseEnd(trailers: HeaderList | null): void {
    this.#note(trailers === null ? 'end' : `end ${trailers.fields.join(' ')}`);
  }

  onUpstreamDrain(): void {
    this.drains++;
    this.onDrain();
  }

  onUpstreamFailure(kind: FailureKind, sent: string, detail: string): void {
    this.#note(`failed ${kind} ${sent}: ${detail}`);
  }
}

export interface AskingClient {
  readonly client: H2Client;
  /** What the connection told its pool. */
  readonly told: string[];
  /** Resolves once `told` has that line. */
  until(line: string): Promise<void>;
  /** Opens a stream and sends a head; a body follows through `stream`. */
  ask(head?: RequestHead): Asked;
}

const READ_BUFFER = Buffer.allocUnsafeSlow(65_536);

/** As the data plane opens its connections: what is read is valid only during the call. */
function open(port: number, onData: OnData): OpenedSocket {
  const callback = (sizeBytes: number, buffer: Uint8Array): boolean => {
    onData((buffer as Buffer).subarray(0, sizeBytes));
    return true;
  };
  const onread = { buffer: READ_BUFFER, callback };
  return { socket: connect({ host: '127.0.0.1', port, noDelay: true, allowHalfOpen: true, onread }), ready: 'connect' };
}

export async function askingClient(
  port: number,
  tuning: Partial<H2ClientTuning> = {},
  idleMs = 60_000,
): Promise<AskingClient> {
  const told: string[] = [];
  const watchers = new Set<() => void>();
  const note = (line: string): void => {
    told.push(line);
    for (const watcher of watchers) watcher();
  };
  const until = (line: string): Promise<void> =>
    new Promise((resolve) => {
      const look = (): void => {
        if (told.includes(line)) resolve();
      };
      watchers.add(look);
      look();
    });
  const client = new H2Client(
    (onData) => open(port, onData),
    {
      onCapacity: () => note('capacity'),
      onClosing: () => note('closing'),
      onGone: (_client, failure) => note(failure === null ? 'gone' : `gone ${failure.kind}`),
      onAbuse: (reason) => note(`abuse ${reason}`),
    },
    {
      clock: systemClock,
      wheel: new TimerWheel(systemClock),
      limits: DEFAULT_LIMITS,
      connectTimeoutMs: 5000,
      maxRequests: Infinity,
      idleMs,
      tuning: { ...DEFAULT_H2_CLIENT_TUNING, ...tuning },
    },
  );
  await Promise.race([until('capacity'), until('gone connect-failure')]);
  const ask = (head = requestHead()): Asked => {
    const asked = new Asked();
    asked.stream = client.openStream(asked);
    if (asked.stream === null) asked.events.push('no room');
    else asked.stream.writeHead(head, head.body);
    return asked;
  };
  return { client, told, until, ask };
}

export function upload(fields: string[] = []): RequestHead {
  return requestHead('POST', '/', fields, CHUNKED_BODY);
}
