/**
 * The HTTP/1.1 connections to one endpoint: idle ones in a plain stack, requests that wait in a queue, both bounded.
 * Knows no request and no choice of endpoint; plaintext only, for sidecars speak HTTP/2 with each other.
 */
import type { FailureKind } from '../exchange/failure.ts';
import type { UpstreamSink, UpstreamStream } from '../exchange/stream.ts';
import type { OpenSocket } from '../net/connect.ts';
import { H1Client, type H1ClientOptions, type H1Owner } from './h1-client.ts';
import type { ClusterCounts, EndpointPool, PoolMeters } from './pool.ts';

export class H1Pool implements EndpointPool, H1Owner {
  readonly #open: OpenSocket;
  readonly #options: H1ClientOptions;
  readonly #counts: ClusterCounts;
  readonly #meters: PoolMeters;
  readonly #idle: H1Client[] = [];
  readonly #all = new Set<H1Client>();
  readonly #waiting: UpstreamSink[] = [];
  #connecting = 0;
  #closed = false;

  constructor(open: OpenSocket, options: H1ClientOptions, counts: ClusterCounts, meters: PoolMeters) {
    this.#open = open;
    this.#options = options;
    this.#counts = counts;
    this.#meters = meters;
  }

  get connections(): number {
    return this.#all.size;
  }

  acquire(sink: UpstreamSink): UpstreamStream | null {
    const now = this.#options.clock.now();
    for (let client = this.#idle.pop(); client !== undefined; client = this.#idle.pop()) {
      if (client.isUsable(now)) return client.start(sink);
      client.destroy();
    }
    if (!this.#counts.pending.take(this.#counts.maxPending)) {
      this.#failLater(sink, 'overflow', 'too many requests wait for a connection');
      return null;
    }
    this.#waiting.push(sink);
    if (this.#connecting < this.#waiting.length) this.#connect();
    return null;
  }

  cancel(sink: UpstreamSink): void {
    const at = this.#waiting.indexOf(sink);
    if (at < 0) return;
    this.#waiting.splice(at, 1);
    this.#counts.pending.add(-1);
  }

  /** Idle connections close now, busy ones after their answer; who waits already is served, so that a change costs no request. */
  close(): void {
    this.#closed = true;
    for (const client of this.#idle.splice(0)) client.destroy();
  }

  onFree(client: H1Client): void {
    if (this.#all.has(client) && this.#connecting > 0 && this.#unready.delete(client)) {
      this.#connecting--;
      this.#meters.connectionOpened();
    }
    const sink = this.#waiting.shift();
    if (sink !== undefined) {
      this.#counts.pending.add(-1);
      sink.onUpstreamReady(client.start(sink));
    } else if (this.#closed) client.destroy();
    else this.#idle.push(client);
  }

  onGone(client: H1Client, failure: { readonly kind: FailureKind; readonly detail: string } | null): void {
    this.#all.delete(client);
    this.#counts.connections.add(-1);
    const at = this.#idle.indexOf(client);
    if (at >= 0) this.#idle.splice(at, 1);
    if (failure === null) {
      this.#meters.connectionClosed();
      this.#openIfNeeded();
      return;
    }
    this.#unready.delete(client);
    this.#connecting--;
    this.#meters.connectFailed(failure.kind);
    // Each connection that fails answers for one request: the others may have better luck with theirs.
    const sink = this.#waiting.length > this.#connecting ? this.#waiting.shift() : undefined;
    if (sink === undefined) return;
    this.#counts.pending.add(-1);
    // Those that the limit made wait for this connection need one of their own now.
    this.#openIfNeeded();
    sink.onUpstreamFailure(failure.kind, 'nothing', failure.detail);
  }

  readonly #unready = new Set<H1Client>();

  #openIfNeeded(): void {
    if (this.#waiting.length > this.#connecting) this.#connect();
  }

  #connect(): void {
    // Over the limit the request waits for a connection that comes back; there is one, or the limit would not be reached.
    const { connections, maxConnections } = this.#counts;
    if (!connections.take(maxConnections)) {
      if (this.#all.size > 0) return;
      connections.add(1);
    }
    const client = new H1Client(this.#open, this, this.#options);
    this.#all.add(client);
    this.#unready.add(client);
    this.#connecting++;
  }

  /** `acquire` must return before its sink hears anything. */
  #failLater(sink: UpstreamSink, kind: FailureKind, detail: string): void {
    process.nextTick(() => sink.onUpstreamFailure(kind, 'nothing', detail));
  }
}
