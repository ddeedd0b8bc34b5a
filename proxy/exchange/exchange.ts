/**
 * One request and its answer, as facts for metrics, log and decisions. Mutable, never shared; every field is set at birth (one hidden class).
 * Does nothing itself: forwarding drives it, record.ts reads it.
 */
import { isGrpc } from '../http/grpc.ts';
import type { RequestHead } from '../http/message.ts';
import type { Failure } from './failure.ts';
import type { Session } from './session.ts';
import type { UpstreamCluster, UpstreamEndpoint } from './upstream.ts';

/** Who is at the client's end of a connection; one object for all exchanges on it. */
export interface DownstreamPeer {
  readonly direction: 'inbound' | 'outbound';
  /** Address and port of the client. */
  readonly address: string;
  /** Verified SPIFFE ID of the client; empty in plaintext. */
  readonly identity: string;
  /** Value of `x-forwarded-client-cert` for the application; empty: none. */
  readonly clientCert: string;
}

/** A try that was given up for another. */
export interface EarlierTry {
  readonly endpoint: UpstreamEndpoint;
  /** Milliseconds since the exchange began. */
  readonly fromMs: number;
  readonly untilMs: number;
  /** Status of its answer, or the kind of its failure. */
  readonly outcome: string;
}

export class Exchange {
  readonly peer: DownstreamPeer;
  readonly request: RequestHead;
  /** Clock milliseconds at which the head was complete. */
  readonly startMs: number;
  readonly isGrpc: boolean;
  routeName: string;
  cluster: UpstreamCluster | null;
  /** The endpoint that the request is meant for; null: any. */
  session: Session | null;
  endpoint: UpstreamEndpoint | null;
  /** Tries begun. */
  attempts: number;
  /** Those before the present one; null: there were none. */
  earlier: EarlierTry[] | null;
  /** Milliseconds from start to the beginning of the present try. */
  tryMs: number;
  /** The how many-th try this is of a hop before us, by `x-envoy-attempt-count`; 0: not said. */
  outerAttempts: number;
  /** What the hop before us leaves for the answer, in milliseconds from the start; 0: not said. */
  outerTimeoutMs: number;
  /** Status sent down; 0 before. */
  status: number;
  /** Of a gRPC call, as its client reads it; -1: none yet, or no call. */
  grpcStatus: number;
  failure: Failure | null;
  /** A fallback answers: the status or the kind of failure that called for it; empty: none does. */
  fellBack: string;
  /** It was made to wait on purpose. */
  delayed: boolean;
  bytesReceived: number;
  bytesSent: number;
  /** Milliseconds from start to the answer's head; -1 before. */
  headMs: number;
  /** Milliseconds from start to the end of it all; -1 before. */
  durationMs: number;
  requestId: string;
  traceId: string;
  spanId: string;
  /** Its trace begins here, and nobody has decided yet whether it is sampled. */
  beginsTrace: boolean;

  constructor(peer: DownstreamPeer, request: RequestHead, startMs: number) {
    this.peer = peer;
    this.request = request;
    this.startMs = startMs;
    this.isGrpc = isGrpc(request.headers);
    this.routeName = '';
    this.cluster = null;
    this.session = null;
    this.endpoint = null;
    this.attempts = 0;
    this.earlier = null;
    this.tryMs = 0;
    this.outerAttempts = 0;
    this.outerTimeoutMs = 0;
    this.status = 0;
    this.grpcStatus = -1;
    this.failure = null;
    this.fellBack = '';
    this.delayed = false;
    this.bytesReceived = 0;
    this.bytesSent = 0;
    this.headMs = -1;
    this.durationMs = -1;
    this.requestId = '';
    this.traceId = '';
    this.spanId = '';
    this.beginsTrace = false;
  }
}
