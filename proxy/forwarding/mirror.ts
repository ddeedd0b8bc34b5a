/**
 * Copies of a request for other backends, whose answers nobody reads (Envoy `request_mirror_policies`). A copy is sent when the whole
 * request is here, within the bound of what is kept for another try; a longer one is not copied.
 * Nothing here can delay, fail or change the request itself. Knows no client.
 */
import { Deadline } from '#base/timer-wheel.ts';
import type { MirrorConfig } from '../config/snapshot.ts';
import type { UpstreamStream } from '../exchange/stream.ts';
import type { UpstreamCluster } from '../exchange/upstream.ts';
import type { HeaderList } from '../http/headers.ts';
import { EMPTY_BODY, RequestHead, bodyOfLength } from '../http/message.ts';
import { Attempt, type AnswerSink, type AttemptOwner } from './attempt.ts';
import type { ForwardContext, MirrorOutcome } from './context.ts';

/** Without a timeout of the route, a copy is given up after this (Envoy's default timeout of a route). */
const DEFAULT_TIMEOUT_MS = 15_000;

/** The clusters that get a copy of this request; null: none does. */
export function chooseMirrors(
  mirrors: readonly MirrorConfig[],
  clusters: ReadonlyMap<string, UpstreamCluster>,
  random: () => number,
): readonly UpstreamCluster[] | null {
  let chosen: UpstreamCluster[] | null = null;
  for (const { cluster: name, percent } of mirrors) {
    const cluster = clusters.get(name);
    if (cluster !== undefined && random() * 100 < percent) (chosen ??= []).push(cluster);
  }
  return chosen;
}

/** Envoy writes `-shadow` behind the host, before a port. */
export function shadowHost(authority: string): string {
  const colon = authority.lastIndexOf(':');
  if (colon <= authority.lastIndexOf(']')) return `${authority}-shadow`;
  return `${authority.slice(0, colon)}-shadow${authority.slice(colon)}`;
}

/** The copies of one request, from its head to its end. */
export class Mirrors {
  readonly #clusters: readonly UpstreamCluster[];
  readonly #context: ForwardContext;
  readonly #head: RequestHead;
  readonly #timeoutMs: number;
  #pieces: Buffer[] | null = [];
  #sizeBytes = 0;

  /** @param request as the first backend gets it; it is copied, for it changes on its way */
  constructor(clusters: readonly UpstreamCluster[], request: RequestHead, timeoutMs: number, context: ForwardContext) {
    this.#clusters = clusters;
    this.#context = context;
    this.#timeoutMs = timeoutMs > 0 ? timeoutMs : DEFAULT_TIMEOUT_MS;
    this.#head = copyOf(request);
  }

  /** The bytes are valid only during the call. */
  take(chunk: Buffer, start: number, end: number): void {
    if (this.#pieces === null) return;
    this.#sizeBytes += end - start;
    if (this.#sizeBytes > this.#context.replayBytes) {
      this.#pieces = null;
      for (const _ of this.#clusters) this.#context.mirrored('too_long');
    } else this.#pieces.push(Buffer.from(chunk.subarray(start, end)));
  }

  /** The request is whole. */
  end(trailers: HeaderList | null): void {
    const pieces = this.#pieces;
    if (pieces === null) return;
    this.#pieces = null;
    const body = Buffer.concat(pieces);
    const head = this.#head;
    // Its length is known by now; trailers need the form that they came in.
    if (head.body.kind !== 'none' && trailers === null) head.body = bodyOfLength(body.length);
    for (const cluster of this.#clusters) new Copy(cluster, head, body, trailers, this.#context).start(this.#timeoutMs);
  }
}

function copyOf(request: RequestHead): RequestHead {
  const { method, path, scheme, authority, version, headers, body } = request;
  const copied = headers.clone();
  copied.remove('expect');
  return new RequestHead(
    method,
    path,
    scheme,
    shadowHost(authority),
    version,
    copied,
    body.kind === 'none' ? EMPTY_BODY : body,
    true,
    false,
    '',
    false,
  );
}

/** One copy on its way to one backend. */
class Copy extends Deadline implements AttemptOwner, AnswerSink {
  readonly #cluster: UpstreamCluster;
  readonly #head: RequestHead;
  readonly #body: Buffer;
  readonly #trailers: HeaderList | null;
  readonly #context: ForwardContext;
  #attempt: Attempt | null = null;

  constructor(
    cluster: UpstreamCluster,
    head: RequestHead,
    body: Buffer,
    trailers: HeaderList | null,
    context: ForwardContext,
  ) {
    super();
    this.#cluster = cluster;
    this.#head = head;
    this.#body = body;
    this.#trailers = trailers;
    this.#context = context;
  }

  start(timeoutMs: number): void {
    const { clock, random, wheel, mirrored } = this.#context;
    const { requests } = this.#cluster.pod;
    const now = clock.now();
    const endpoint = this.#cluster.picker.pick(now, random, [], null);
    if (endpoint === null || !requests.take(this.#cluster.config.limits.requests)) {
      mirrored('refused');
      return;
    }
    this.#attempt = new Attempt(this, endpoint, clock, now);
    wheel.schedule(this, timeoutMs);
    this.#attempt.start();
  }

  onAttemptOpen(_attempt: Attempt, stream: UpstreamStream): void {
    stream.writeHead(this.#head, this.#head.body);
    if (this.#body.length > 0) stream.writeData(this.#body, 0, this.#body.length);
    stream.end(this.#trailers);
  }

  /** Nobody reads the answer. */
  onAttemptInterim(): void {}
  onAnswerData(): void {}
  onAttemptDrain(): void {}

  onAttemptHead(attempt: Attempt): void {
    attempt.deliver(this);
  }

  onAnswerEnd(): void {
    this.#over('answered');
  }

  onAnswerBroken(): void {
    this.#over('failed');
  }

  onAttemptFailure(): void {
    this.#over('failed');
  }

  override onDeadline(): void {
    this.#attempt?.silent('request-timeout');
    this.#attempt?.cancel();
    this.#over('failed');
  }

  #over(outcome: MirrorOutcome): void {
    if (this.#attempt === null) return;
    this.#attempt = null;
    if (this.wheelSlot >= 0) this.#context.wheel.cancel(this);
    this.#cluster.pod.requests.add(-1);
    this.#context.mirrored(outcome);
  }
}
