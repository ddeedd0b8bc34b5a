/**
 * Clusters and endpoints as the middle of a request uses them. The worker implements them with pools and sockets.
 * Knows no socket and no protocol version.
 */
import type { ClusterConfig } from '../config/snapshot.ts';
import type { BalancedEndpoint, Picker } from './destination.ts';
import type { FailureKind } from './failure.ts';
import type { PodCounts } from './pod-counts.ts';
import type { UpstreamSink, UpstreamStream } from './stream.ts';

/** What is counted for one endpoint of one cluster; resolved once when the endpoint is linked. */
export interface EndpointMeters {
  /**
   * One request is over. @param status as sent down; 0: the client had gone. @param grpcStatus -1: no gRPC call.
   * @param durationMs from its first byte to the answer's last.
   */
  request(
    status: number,
    grpcStatus: number,
    flag: string,
    durationMs: number,
    bytesIn: number,
    bytesOut: number,
  ): void;
  retry(): void;
  /** A try beside another is over. @param won it gave the answer */
  hedge(won: boolean): void;
}

/** Who judges an endpoint by what becomes of attempts (outlier detection). */
export interface AttemptObserver {
  /**
   * An attempt ended, and the endpoint is the cause of it; not told of attempts that the client or another try made needless before any
   * answer. Within the call the endpoint may become unavailable.
   * @param status of the answer's head; 0: none came
   * @param grpcStatus -1: none came, or no call
   * @param failure what broke the attempt, or what the peer's sidecar gave as the reason of its answer; null: the application answered whole
   */
  attemptOver(status: number, grpcStatus: number, failure: FailureKind | null, nowMs: number): void;
}

export interface UpstreamEndpoint extends BalancedEndpoint {
  readonly meters: EndpointMeters;
  /** Null: nobody judges. */
  readonly observer: AttemptObserver | null;
  /** A free stream at once, or null: then `onUpstreamReady` or `onUpstreamFailure` follows, never before `acquire` has returned. */
  acquire(sink: UpstreamSink): UpstreamStream | null;
  /** Takes back an `acquire` that was not answered yet. */
  cancel(sink: UpstreamSink): void;
}

/** Something that waits for an endpoint to appear. */
export interface EndpointWaiter {
  onEndpoints(): void;
}

export interface UpstreamCluster {
  readonly config: ClusterConfig;
  readonly picker: Picker<UpstreamEndpoint>;
  readonly meters: EndpointMeters;
  /** Of all workers; `requests` are those under way, against `config.limits.requests`. */
  readonly pod: PodCounts;
  /** Counts a first try for the retry budget. */
  budgetDeposit(nowMs: number): void;
  /** Takes a retry out of the budget; false: it is used up. */
  budgetWithdraw(nowMs: number): boolean;
  /** Waits until endpoints change. False: too many wait already. */
  wait(waiter: EndpointWaiter): boolean;
  unwait(waiter: EndpointWaiter): void;
}
