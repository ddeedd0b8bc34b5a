/**
 * The last exchanges of a worker, for who asks what happened to a request. Those that went wrong, were tried again or were slow have a
 * place of their own, so that ordinary traffic does not push them out.
 * Knows no HTTP; keeps a reference and copies nothing until somebody asks, but for a large head, of which only the facts are kept.
 */
import type { Clock } from '#base/clock.ts';
import type { EarlierTry, Exchange } from '../exchange/exchange.ts';
import type { UpstreamEndpoint } from '../exchange/upstream.ts';

/** Of each kind. */
const KEPT = 256;
/** A head with more characters is let go: a client must not fill memory with what is kept of its requests. */
const MAX_HEAD_LENGTH = 4096;
const MAX_TEXT_LENGTH = 1024;
/**
 * At most one in so many milliseconds, so that a crowd cannot push out the last second within a few of them, and few objects outlive a
 * collection of the young generation. At the rates at which people ask for one request, all are kept.
 */
const SPACING_MS = { ordinary: 5, notable: 1 } as const;
/** An answer that takes longer is worth a question. */
const SLOW_MS = 1000;

export interface TryFacts {
  /** `address:port` */
  readonly endpoint: string;
  /** Empty: not known. */
  readonly pod: string;
  /** SPIFFE ID that the endpoint had to prove; empty: plaintext. */
  readonly identity: string;
  /** Since the request's head, in milliseconds. */
  readonly fromMs: number;
  readonly untilMs: number;
  /** Status, or the kind of failure. */
  readonly outcome: string;
}

/** Fields are added, never renamed. */
export interface ExchangeFacts {
  readonly requestId: string;
  readonly traceId: string;
  readonly spanId: string;
  readonly direction: 'inbound' | 'outbound';
  /** Wall time in milliseconds since the epoch. */
  readonly startWallMs: number;
  readonly method: string;
  readonly authority: string;
  readonly path: string;
  /** 0: the client went before there was one. */
  readonly status: number;
  /** -1: no gRPC call. */
  readonly grpcStatus: number;
  /** Kind of the failure; empty: the application answered. */
  readonly reason: string;
  readonly detail: string;
  /** What a fallback answered in the place of; empty: none did. */
  readonly fallback: string;
  readonly delayed: boolean;
  readonly durationMs: number;
  /** To the answer's head; -1: none. */
  readonly headMs: number;
  readonly route: string;
  readonly cluster: string;
  readonly tries: readonly TryFacts[];
  readonly bytesReceived: number;
  readonly bytesSent: number;
  readonly downstreamPeer: string;
  readonly downstreamAddress: string;
}

/** The facts alone where the head is large. */
type Kept = Exchange | ExchangeFacts;

export class RecentExchanges {
  readonly #clock: Clock;
  readonly #ordinary = new Ring(SPACING_MS.ordinary);
  readonly #notable = new Ring(SPACING_MS.notable);

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** @param exchange is over */
  add(exchange: Exchange): void {
    const ring = isNotable(exchange) ? this.#notable : this.#ordinary;
    const endMs = exchange.startMs + exchange.durationMs;
    if (ring.wants(endMs)) ring.add(isLarge(exchange) ? this.#copyOf(exchange) : exchange, endMs);
  }

  /** With this request id or trace id, oldest first. @param id empty: all that are notable */
  find(id: string): readonly ExchangeFacts[] {
    const isMeant = ({ requestId, traceId }: Kept): boolean =>
      requestId === id || traceId === id || requestId === cut(id);
    const found = id === '' ? this.#notable.all() : [...this.#ordinary.all(), ...this.#notable.all()].filter(isMeant);
    const epochMs = this.#epochMs;
    return found
      .map((kept) => ('startWallMs' in kept ? kept : factsOf(kept, epochMs)))
      .toSorted((a, b) => a.startWallMs - b.startWallMs);
  }

  get #epochMs(): number {
    return this.#clock.wall() - this.#clock.now();
  }

  /** Cloned, for a piece of a string keeps all of it. */
  #copyOf(exchange: Exchange): ExchangeFacts {
    const facts = factsOf(exchange, this.#epochMs);
    const { requestId, path, authority, method } = facts;
    const texts = { requestId: cut(requestId), path: cut(path), authority: cut(authority), method: cut(method) };
    return structuredClone({ ...facts, ...texts });
  }
}

class Ring {
  readonly #places: (Kept | null)[] = Array.from({ length: KEPT }, () => null);
  readonly #spacingMs: number;
  #next = 0;
  #lastMs = Number.NEGATIVE_INFINITY;

  constructor(spacingMs: number) {
    this.#spacingMs = spacingMs;
  }

  wants(endMs: number): boolean {
    return endMs >= this.#lastMs + this.#spacingMs;
  }

  add(exchange: Kept, endMs: number): void {
    this.#lastMs = endMs;
    this.#places[this.#next] = exchange;
    this.#next = (this.#next + 1) % KEPT;
  }

  all(): Kept[] {
    return this.#places.filter((exchange) => exchange !== null);
  }
}

function isLarge({ request }: Exchange): boolean {
  let length = request.path.length + request.authority.length + request.method.length;
  for (const text of request.headers.fields) length += text.length;
  return length > MAX_HEAD_LENGTH;
}

function cut(text: string): string {
  return text.length > MAX_TEXT_LENGTH ? `${text.slice(0, MAX_TEXT_LENGTH)}...` : text;
}

function isNotable({ failure, fellBack, status, grpcStatus, attempts, delayed, headMs }: Exchange): boolean {
  return (
    failure !== null ||
    fellBack !== '' ||
    status >= 500 ||
    grpcStatus > 0 ||
    attempts > 1 ||
    delayed ||
    headMs > SLOW_MS
  );
}

function factsOf(x: Exchange, epochMs: number): ExchangeFacts {
  const earlier = x.earlier ?? [];
  return {
    requestId: x.requestId,
    traceId: x.traceId,
    spanId: x.spanId,
    direction: x.peer.direction,
    startWallMs: Math.round(epochMs + x.startMs),
    method: x.request.method,
    authority: x.request.authority,
    path: x.request.path,
    status: x.status,
    grpcStatus: x.grpcStatus,
    reason: x.failure?.kind ?? '',
    detail: x.failure?.detail ?? '',
    fallback: x.fellBack,
    delayed: x.delayed,
    durationMs: rounded(x.durationMs),
    headMs: rounded(x.headMs),
    route: x.routeName,
    cluster: x.cluster?.config.name ?? '',
    tries: [...earlier.map(earlierTry), ...(x.endpoint === null ? [] : [lastTry(x, x.endpoint)])],
    bytesReceived: x.bytesReceived,
    bytesSent: x.bytesSent,
    downstreamPeer: x.peer.identity,
    downstreamAddress: x.peer.address,
  };
}

function earlierTry({ endpoint, fromMs, untilMs, outcome }: EarlierTry): TryFacts {
  return { ...placeOf(endpoint), fromMs: rounded(fromMs), untilMs: rounded(untilMs), outcome };
}

function lastTry(x: Exchange, endpoint: UpstreamEndpoint): TryFacts {
  const outcome = x.failure === null ? String(x.status) : x.failure.kind;
  return { ...placeOf(endpoint), fromMs: rounded(x.tryMs), untilMs: rounded(x.durationMs), outcome };
}

function placeOf({ config }: UpstreamEndpoint): Pick<TryFacts, 'endpoint' | 'pod' | 'identity'> {
  const pod = config.workload === null ? '' : `${config.workload.namespace}/${config.workload.pod}`;
  return { endpoint: `${config.address}:${config.port}`, pod, identity: config.mtls ? config.identity : '' };
}

function rounded(ms: number): number {
  return Math.round(ms * 100) / 100;
}
