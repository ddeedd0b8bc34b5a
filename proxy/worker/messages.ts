/**
 * What passes between the supervisor and a worker, both ways. Plain data: it can be posted to a thread.
 * Knows no behaviour.
 */
import type { Patience } from '../downstream/patience.ts';
import type {
  ClusterConfig,
  EndpointsConfig,
  ListenerConfig,
  RouteTableConfig,
  TrustConfig,
} from '../config/snapshot.ts';

/** What differs from what the worker has; `null` as value: gone. One batch is applied as a whole. */
export interface SnapshotChange {
  readonly listeners: ReadonlyMap<string, ListenerConfig | null>;
  readonly routes: ReadonlyMap<string, RouteTableConfig | null>;
  readonly clusters: ReadonlyMap<string, ClusterConfig | null>;
  readonly endpoints: ReadonlyMap<string, EndpointsConfig | null>;
  readonly trust: TrustConfig | null | undefined;
  /** Destinations that became complete, or are known not to exist. */
  readonly destinations: ReadonlyMap<string, 'ready' | 'unknown' | 'released'>;
}

/** Our own certificate: leaf and intermediates in PEM, and its key. Made and renewed by the supervisor. */
export interface IdentityMaterial {
  readonly spiffeId: string;
  readonly certChainPem: string;
  readonly privateKeyPem: string;
  /** Wall time in milliseconds. */
  readonly notAfterMs: number;
}

/** An address of this machine to listen on, or of a server to connect to. */
export interface HostPort {
  readonly address: string;
  readonly port: number;
}

/** What a worker has to know from the start. Times in milliseconds, sizes in bytes. */
export interface WorkerSettings {
  /** `redirect`: connections arrive by iptables and carry an original destination; `explicit`: each listens where it is told. */
  readonly captureMode: 'redirect' | 'explicit';
  /** Redirect: captured outbound connections. Explicit: the HTTP proxy port of the application. Null: none. */
  readonly outbound: HostPort | null;
  /** Redirect: captured inbound connections. Explicit: only the port counts, it is reserved. */
  readonly inbound: HostPort | null;
  /** Addresses of this pod; connections to them are its own. */
  readonly podAddresses: readonly string[];
  /** Where the application listens; null: at the original destination. */
  readonly appAddress: string | null;
  /** Explicit mode: loopback ports that stand for one destination each (`host:port`). */
  readonly explicitListens: readonly (HostPort & { readonly name: string })[];
  /** `mesh`: as the control plane says, and passed through until it has said something. */
  readonly unknownDestinations: 'mesh' | 'passthrough' | 'refuse';
  readonly dns: {
    /** `address` or `address:port`; empty: those of the system. */
    readonly servers: readonly string[];
    /** Empty: none. */
    readonly hostsFile: string;
    readonly minTtlMs: number;
    readonly maxTtlMs: number;
  };
  /** A destination without use for this long is let go. */
  readonly destinationIdleMs: number;
  readonly limits: {
    readonly maxHeadBytes: number;
    readonly maxFields: number;
    readonly maxTargetBytes: number;
    /** Of a request; 0: no limit. */
    readonly maxBodyBytes: number;
    readonly maxConnections: number;
    readonly headTimeoutMs: number;
    readonly patience: Patience;
    /** Bytes kept for one side of a connection before the other side is paused. */
    readonly bufferBytes: number;
  };
  readonly accessLog: 'off' | 'json';
  /** Empty: standard output. */
  readonly accessLogPath: string;
  readonly drainDeadlineMs: number;
  readonly pod: {
    readonly namespace: string;
    readonly name: string;
    readonly owner: string;
    readonly serviceAccount: string;
  };
  readonly trustDomain: string;
  /** Downstream connections without a request for this long are closed. */
  readonly downstreamIdleMs: number;
  /** Idle connections to the application beside us; below its own keep-alive (Node: 5 s). */
  readonly appIdleMs: number;
  /** Idle connections to other endpoints. */
  readonly peerIdleMs: number;
  /** Silence after which TCP asks whether the other side is there; 0: never. */
  readonly keepAliveMs: number;
}

export type ToWorker =
  /** @param rows of the counts that workers share, by cluster; absent with one worker */
  | { readonly kind: 'change'; readonly change: SnapshotChange; readonly rows?: ReadonlyMap<string, number> }
  | { readonly kind: 'identity'; readonly identity: IdentityMaterial }
  /** Another worker found that an endpoint fails its health checks, and why; empty: that it passes. */
  | { readonly kind: 'health'; readonly cluster: string; readonly endpoint: string; readonly why: string }
  /** Inbound: take no new work and finish what runs. Outbound: stay open until the application has ended. Both end at the deadline. */
  | { readonly kind: 'drain'; readonly direction: 'inbound' | 'outbound'; readonly deadlineMs: number };

export type FromWorker =
  /** An application talked to this name or address for the first time. */
  | { readonly kind: 'want'; readonly destination: string }
  /** Not used for the idle time: may be let go. */
  | { readonly kind: 'idle'; readonly destination: string }
  | { readonly kind: 'listening'; readonly what: string; readonly address: string; readonly port: number }
  /** For the other workers, see `ToWorker`; only with several. */
  | { readonly kind: 'health'; readonly cluster: string; readonly endpoint: string; readonly why: string }
  | { readonly kind: 'drained'; readonly direction: 'inbound' | 'outbound' };
