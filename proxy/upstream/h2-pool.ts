/**
 * The HTTP/2 connections to one endpoint: as few as carry the requests, a further one when streams run out.
 * Knows no request and no choice of endpoint.
 */
import type { FailureKind } from '../exchange/failure.ts';
import type { UpstreamSink, UpstreamStream } from '../exchange/stream.ts';
import type { AbuseReason } from '../http/h2/abuse.ts';
import type { OpenSocket } from '../net/connect.ts';
import { H2Client, type H2ClientOptions, type H2Owner } from './h2-client.ts';
import type { ClusterCounts, EndpointPool, PoolMeters } from './pool.ts';

export class H2Pool implements EndpointPool, H2Owner {
  readonly #open: OpenSocket;
  readonly #canOpen: () => boolean;
  readonly #options: H2ClientOptions;
  readonly #counts: ClusterCounts;
  readonly #meters: PoolMeters;
  /** Connections that may take streams. */
  readonly #clients: H2Client[] = [];
  readonly #waiting: UpstreamSink[] = [];
  readonly #connecting = new Set<H2Client>();
  #all = 0;
  #isClosed = false;

  /** @param canOpen false while mutual TLS is wanted and there is no identity yet */
  constructor(
    open: OpenSocket,
    canOpen: () => boolean,
    options: H2ClientOptions,
    counts: ClusterCounts,
    meters: PoolMeters,
  ) {
    this.#open = open;
    this.#canOpen = canOpen;
    this.#options = options;
    this.#counts = counts;
    this.#meters = meters;
  }

  get connections(): number {
    return this.#all;
  }

  acquire(sink: UpstreamSink): UpstreamStream | null {
    for (const client of this.#clients) {
      const stream = client.openStream(sink);
      if (stream !== null) return stream;
    }
    if (!this.#counts.pending.take(this.#counts.maxPending)) {
      this.#failLater(sink, 'overflow', 'too many requests wait for a connection');
      return null;
    }
    this.#waiting.push(sink);
    this.#connectIfNeeded();
    return null;
  }

  cancel(sink: UpstreamSink): void {
    const at = this.#waiting.indexOf(sink);
    if (at < 0) return;
    this.#waiting.splice(at, 1);
    this.#counts.pending.add(-1);
  }

  /** Connections close after their last answer; who waits already is served, so that a change costs no request. */
  close(): void {
    this.#isClosed = true;
    for (const client of this.#clients.splice(0)) client.close();
  }

  onCapacity(client: H2Client): void {
    if (this.#connecting.delete(client)) {
      this.#clients.push(client);
      this.#meters.connectionOpened();
    }
    while (this.#waiting.length > 0 && client.room > 0) {
      const sink = this.#waiting.shift();
      if (sink === undefined) break;
      this.#counts.pending.add(-1);
      const stream = client.openStream(sink);
      if (stream === null) this.#failLater(sink, 'refused-stream', 'the connection takes no more streams');
      else sink.onUpstreamReady(stream);
    }
    if (this.#isClosed) client.close();
  }

  onClosing(client: H2Client): void {
    this.#forget(client);
    this.#connectIfNeeded();
  }

  onGone(client: H2Client, failure: { readonly kind: FailureKind; readonly detail: string } | null): void {
    this.#forget(client);
    this.#all--;
    this.#counts.connections.add(-1);
    if (!this.#connecting.delete(client)) {
      this.#meters.connectionClosed();
      this.#connectIfNeeded();
      return;
    }
    const { kind, detail } = failure ?? { kind: 'connect-failure' as const, detail: 'closed' };
    this.#meters.connectFailed(kind);
    // All that wait, waited for this connection, whether there are others or not: they may have better luck with another endpoint.
    this.#failAll(kind, detail);
  }

  onAbuse(reason: AbuseReason): void {
    this.#meters.abused(reason);
  }

  /** One connection at a time is on its way: it brings room for many requests. */
  #connectIfNeeded(): void {
    if (this.#waiting.length === 0 || this.#connecting.size > 0) return;
    // Over the limit the request waits for a stream that ends; there is one, or the limit would not be reached.
    const { connections, maxConnections } = this.#counts;
    if (!this.#canOpen()) {
      this.#failAll('tls-failure', 'this sidecar has no identity yet');
      return;
    }
    if (!connections.take(maxConnections)) {
      if (this.#clients.length > 0) return;
      connections.add(1);
    }
    const client = new H2Client(this.#open, this, this.#options);
    this.#connecting.add(client);
    this.#all++;
  }

  #forget(client: H2Client): void {
    const at = this.#clients.indexOf(client);
    if (at >= 0) this.#clients.splice(at, 1);
  }

  #failAll(kind: FailureKind, detail: string): void {
    for (const sink of this.#waiting.splice(0)) {
      this.#counts.pending.add(-1);
      this.#failLater(sink, kind, detail);
    }
  }

  /** `acquire` must return before its sink hears anything. */
  #failLater(sink: UpstreamSink, kind: FailureKind, detail: string): void {
    process.nextTick(() => sink.onUpstreamFailure(kind, 'nothing', detail));
  }
}
