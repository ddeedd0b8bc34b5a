/**
 * One gRPC call to the control plane on a connection of its own, over the sidecar's own HTTP/2 (decision 021).
 * Carries messages as bytes; knows neither what they mean nor when to try again.
 */
import type { Clock, Timer } from '#base/clock.ts';
import { TimerWheel } from '#base/timer-wheel.ts';
import type { FailureKind } from '../../exchange/failure.ts';
import type { UpstreamSink, UpstreamStream } from '../../exchange/stream.ts';
import { GRPC, grpcStatusIn, grpcStatusOfHttp } from '../../http/grpc.ts';
import { HeaderList } from '../../http/headers.ts';
import { CHUNKED_BODY, DEFAULT_LIMITS, RequestHead, type ResponseHead } from '../../http/message.ts';
import { openSocket } from '../../net/connect.ts';
import { DEFAULT_H2_CLIENT_TUNING, H2Client, type H2Owner } from '../../upstream/h2-client.ts';
import type { Access } from './access.ts';
import { frameMessage, MessageReader } from './messages.ts';

/** What a call tells its owner. Nothing after `onOver`, and nothing within the constructor. */
export interface CallEvents {
  /** The server is there and speaks HTTP/2. Once, before the first message. */
  onUp(): void;
  /** The bytes are the owner's. */
  onMessage(message: Buffer): void;
  /** Once. @param failure why it failed; empty: the server ended it with status OK */
  onOver(failure: string): void;
}

/** For name resolution, TCP, TLS and the first word of the server together. */
const UP_MS = 10_000;
/** A dead control plane is noticed within 30 s + 10 s. */
const KEEP_ALIVE = { keepAliveIntervalMs: 30_000, keepAliveTimeoutMs: 10_000 };
/** A response with more is a mistake; grpc's own default of 4 MiB is too small for 10,000 endpoints. */
const MAX_MESSAGE_BYTES = 16 * 1024 * 1024;
/** Nothing here is in a hurry, and a process that idles should not be woken 50 times a second. */
const TICK_MS = 500;
/** Of what the server says of a failure more is not told. */
const MAX_REASON = 1000;

export class Call implements H2Owner, UpstreamSink {
  readonly #access: Access;
  readonly #path: string;
  readonly #events: CallEvents;
  readonly #client: H2Client;
  readonly #reader: MessageReader;
  readonly #deadline: Timer;
  #stream: UpstreamStream | null = null;
  /** Until the stream is there. */
  readonly #waiting: Buffer[] = [];
  #requestEnded = false;
  #isUp = false;
  #isOver = false;
  #head: ResponseHead | null = null;

  /** @param path `/package.Service/Method` */
  constructor(access: Access, path: string, events: CallEvents, clock: Clock) {
    this.#access = access;
    this.#path = path;
    this.#events = events;
    this.#reader = new MessageReader(MAX_MESSAGE_BYTES, (message) => {
      if (!this.#isOver) events.onMessage(message);
    });
    this.#client = new H2Client((onData) => openSocket(targetOf(access), null, [], onData)!, this, {
      clock,
      wheel: new TimerWheel(clock, TICK_MS),
      limits: DEFAULT_LIMITS,
      connectTimeoutMs: UP_MS,
      idleMs: UP_MS,
      maxRequests: Infinity,
      tuning: { ...DEFAULT_H2_CLIENT_TUNING, ...KEEP_ALIVE },
    });
    this.#deadline = clock.after(UP_MS, () => {
      // A server that takes one call at a time has no more to say of its room.
      if (this.#client.connection.gotSettings) this.#up();
      else this.#over('no connection in time');
    });
  }

  /** Never waits: what the server does not take stays in memory. */
  send(message: Uint8Array): void {
    if (this.#isOver || this.#requestEnded) return;
    const framed = frameMessage(message);
    if (this.#stream === null) this.#waiting.push(framed);
    else this.#stream.writeData(framed, 0, framed.length);
  }

  /** No message follows. */
  end(): void {
    this.#requestEnded = true;
    this.#stream?.end(null);
  }

  /** Gives it up; its owner hears nothing any more. */
  cancel(): void {
    this.#isOver = true;
    this.#deadline.cancel();
    this.#stream?.reset();
    this.#client.close();
  }

  // --- from the connection ---------------------------------------------------------------------------------------

  onCapacity(client: H2Client): void {
    if (this.#isOver) return;
    if (this.#stream === null) this.#open(client);
    if (client.connection.gotSettings) this.#up();
  }

  #up(): void {
    if (this.#isUp) return;
    this.#isUp = true;
    this.#deadline.cancel();
    this.#events.onUp();
  }

  #open(client: H2Client): void {
    const stream = client.openStream(this);
    if (stream === null) return;
    this.#stream = stream;
    const headers = new HeaderList(['content-type', 'application/grpc', 'te', 'trailers', 'user-agent', 'tulle']);
    headers.add('authorization', `Bearer ${this.#access.token}`);
    const { authority } = this.#access;
    const head = new RequestHead(
      'POST',
      this.#path,
      'https',
      authority,
      20,
      headers,
      CHUNKED_BODY,
      true,
      false,
      '',
      false,
    );
    stream.writeHead(head, CHUNKED_BODY);
    for (const framed of this.#waiting.splice(0)) stream.writeData(framed, 0, framed.length);
    if (this.#requestEnded) stream.end(null);
  }

  onClosing(): void {}

  onGone(_client: H2Client, failure: { readonly kind: FailureKind; readonly detail: string } | null): void {
    // The stream, if there is one, tells more.
    if (failure !== null) this.#over(`${failure.kind}: ${failure.detail}`);
    else if (this.#stream === null) this.#over('the connection ended');
  }

  onAbuse(): void {}

  // --- from the stream -------------------------------------------------------------------------------------------

  onUpstreamReady(): void {}
  onUpstreamDrain(): void {}
  onInterim(): void {}

  onResponseHead(head: ResponseHead): void {
    this.#head = head;
    this.#up();
  }

  onResponseData(chunk: Buffer, start: number, end: number): void {
    if (this.#isOver || this.#head?.status !== 200) return;
    const wrong = this.#reader.read(chunk, start, end);
    if (wrong !== '') this.#over(wrong);
  }

  onResponseEnd(trailers: HeaderList | null): void {
    const head = this.#head;
    if (head === null) return;
    const fields = trailers ?? head.headers;
    const code = grpcStatusIn(fields);
    if (head.status !== 200) this.#over(`grpc-status ${grpcStatusOfHttp(head.status)}: HTTP status ${head.status}`);
    else if (code !== GRPC.ok) this.#over(`grpc-status ${code < 0 ? GRPC.unknown : code}: ${reasonIn(fields)}`);
    else this.#over(this.#reader.isBetween ? '' : 'the call ended within a message');
  }

  onUpstreamFailure(_kind: FailureKind, _sent: 'nothing' | 'head' | 'body', detail: string): void {
    this.#over(detail);
  }

  #over(failure: string): void {
    if (this.#isOver) return;
    this.cancel();
    this.#events.onOver(failure);
  }
}

function targetOf({ address, port, tls }: Access): Parameters<typeof openSocket>[0] {
  return { address, port, mtls: false, serverName: '', identities: [], keepAliveMs: 0, origination: tls };
}

/** `grpc-message`, percent-encoded. */
function reasonIn(fields: HeaderList): string {
  const told = (fields.get('grpc-message') ?? 'no reason given').slice(0, MAX_REASON);
  try {
    return decodeURIComponent(told);
  } catch {
    return told;
  }
}
