/**
 * Microseconds of CPU that one HTTP/2 request costs each role: `node bench/h2.ts`; `node bench/h2.ts serve` waits for h2load instead.
 * Client and server share one process over loopback, so the figure holds both roles and the kernel; `codec` has no socket, what is left is ours.
 */
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { systemClock } from '../base/clock.ts';
import { TimerWheel } from '../base/timer-wheel.ts';
import { DEFAULT_H2_SERVER_TUNING, H2Server } from '../proxy/downstream/h2-server.ts';
import { DEFAULT_PATIENCE } from '../proxy/downstream/patience.ts';
import { responseHead } from '../proxy/exchange/local-answer.ts';
import type { DownstreamSink, DownstreamStream, UpstreamSink } from '../proxy/exchange/stream.ts';
import { HeaderList } from '../proxy/http/headers.ts';
import { bodyOfLength, DEFAULT_LIMITS, NO_BODY, RequestHead } from '../proxy/http/message.ts';
import type { OnData } from '../proxy/net/reads.ts';
import { DEFAULT_H2_CLIENT_TUNING, H2Client } from '../proxy/upstream/h2-client.ts';

const BODY = Buffer.alloc(1024, 'x');
const BODY_KIND = bodyOfLength(BODY.length);
const REQUEST_FIELDS = [
  ...[
    'user-agent',
    'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36',
    'accept',
    'application/json, text/plain, */*',
  ],
  ...['accept-encoding', 'gzip, deflate, br', 'x-request-id', '9f1c2d6e-1c3b-4f7a-9a57-1f0a8d8d6c11'],
  ...['traceparent', '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01', 'cookie', 'session=abcdefghijklmnop'],
];
const wheel = new TimerWheel(systemClock);

class Exchange implements DownstreamSink {
  onRequestData(): void {}
  onRequestEnd(): void {}
  onDownstreamDrain(): void {}
  fail(): void {}
  onDownstreamReset(): void {}
}
const exchange = new Exchange();

function answer(stream: DownstreamStream): DownstreamSink {
  const headers = new HeaderList(['content-type', 'application/json', 'date', 'Mon, 23 Nov 2026 13:00:00 GMT']);
  stream.writeHead(responseHead(200, headers, BODY_KIND), BODY_KIND);
  stream.writeData(BODY, 0, BODY.length);
  stream.end(null);
  return exchange;
}

function serve(socket: Socket): H2Server {
  return new H2Server(socket, {
    clock: systemClock,
    wheel,
    limits: DEFAULT_LIMITS,
    headTimeoutMs: 10_000,
    idleTimeoutMs: 60_000,
    tuning: DEFAULT_H2_SERVER_TUNING,
    onRequest: answer,
    patience: DEFAULT_PATIENCE,
    onStalled: () => undefined,
    onRefused: () => undefined,
    onAbuse: () => undefined,
    onClose: () => undefined,
  });
}

/** Asks again as soon as it is answered. */
class Asking implements UpstreamSink {
  readonly #client: H2Client;
  static done = 0;
  static limit = 0;
  static onLimit: () => void = () => {};

  constructor(client: H2Client) {
    this.#client = client;
  }

  ask(): void {
    const stream = this.#client.openStream(this);
    if (stream === null) throw new Error('no room');
    const headers = new HeaderList(REQUEST_FIELDS.slice());
    stream.writeHead(
      new RequestHead('GET', '/api/v1/users/42', 'http', 'users.shop', 11, headers, NO_BODY, true, false, '', false),
      NO_BODY,
    );
    stream.end(null);
  }

  onUpstreamReady(): void {}
  onInterim(): void {}
  onResponseHead(): void {}
  onResponseData(): void {}
  onUpstreamDrain(): void {}
  onResponseEnd(): void {
    if (++Asking.done === Asking.limit) Asking.onLimit();
    if (Asking.done < Asking.limit) this.ask();
  }
  onUpstreamFailure(kind: string, _sent: string, detail: string): void {
    if (Asking.done < Asking.limit) throw new Error(`${kind}: ${detail}`);
  }
}

const READ_BUFFER = Buffer.allocUnsafeSlow(65_536);

function openTo(port: number): (onData: OnData) => { socket: Socket; ready: 'connect' } {
  return (onData) => {
    const callback = (sizeBytes: number, buffer: Uint8Array): boolean => {
      onData((buffer as Buffer).subarray(0, sizeBytes));
      return true;
    };
    const socket = connect({ port, host: '127.0.0.1', noDelay: true, onread: { buffer: READ_BUFFER, callback } });
    return { socket, ready: 'connect' };
  };
}

async function ask(port: number, streams: number, requests: number): Promise<number> {
  const ready = Promise.withResolvers<void>();
  const client = new H2Client(
    openTo(port),
    {
      onCapacity: () => ready.resolve(),
      onClosing: () => undefined,
      onGone: () => undefined,
      onAbuse: () => undefined,
    },
    {
      clock: systemClock,
      wheel,
      limits: DEFAULT_LIMITS,
      connectTimeoutMs: 1000,
      idleMs: 60_000,
      maxRequests: Infinity,
      tuning: DEFAULT_H2_CLIENT_TUNING,
    },
  );
  await ready.promise;
  const limit = Promise.withResolvers<void>();
  Asking.done = 0;
  Asking.limit = requests;
  Asking.onLimit = () => limit.resolve();
  const before = process.cpuUsage();
  for (let i = 0; i < streams; i++) new Asking(client).ask();
  await limit.promise;
  const used = process.cpuUsage(before);
  client.destroy();
  return (used.user + used.system) / requests;
}

const server = createServer({ noDelay: true }, serve);
await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
const { port } = server.address() as AddressInfo;
if (process.argv[2] === 'serve') {
  console.log(`h2load -n 1000000 -c 4 -m 32 http://127.0.0.1:${port}/`);
} else {
  for (const streams of [1, 10, 64]) {
    let best = Number.POSITIVE_INFINITY;
    for (let round = 0; round < 8; round++)
      best = Math.min(best, await ask(port, streams, streams === 1 ? 10_000 : 50_000));
    console.log(
      `${String(streams).padStart(3)} streams: ${best.toFixed(2)} us a request, client and server and kernel`,
    );
  }
  process.exit(0);
}
