/**
 * What the pools of both HTTP versions are to a cluster, and what a cluster is to them.
 * Types only.
 */
import type { Tally } from '#base/tally.ts';
import type { FailureKind } from '../exchange/failure.ts';
import type { UpstreamSink, UpstreamStream } from '../exchange/stream.ts';

/** Counts that belong to a whole cluster, in all workers (Envoy `circuit_breakers.thresholds`). */
export interface ClusterCounts {
  readonly connections: Tally;
  readonly pending: Tally;
  maxConnections: number;
  maxPending: number;
}

export interface PoolMeters {
  connectionOpened(): void;
  connectionClosed(): void;
  connectFailed(kind: FailureKind): void;
  /** A server cost more than it may; `reason` is a word of a fixed list. */
  abused(reason: string): void;
}

/** The connections to one endpoint. */
export interface EndpointPool {
  /** Open and opening. */
  readonly connections: number;
  /** A stream at once, or null: then the sink hears of one, or of the failure, after this call has returned. */
  acquire(sink: UpstreamSink): UpstreamStream | null;
  /** Takes back an `acquire` that was not answered yet. */
  cancel(sink: UpstreamSink): void;
  /** The endpoint left the set: what is under way or waits goes on, nothing is kept after it. */
  close(): void;
}
