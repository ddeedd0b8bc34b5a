/**
 * What passes between the supervisor and a worker, both ways. Plain data: it can be posted to a thread.
 * Knows no behaviour.
 */
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

export type ToWorker =
  | { readonly kind: 'change'; readonly change: SnapshotChange }
  | { readonly kind: 'identity'; readonly identity: IdentityMaterial }
  /** Stop taking new work: inbound first; outbound stays until `outbound` is drained too. */
  | { readonly kind: 'drain'; readonly direction: 'inbound' | 'outbound'; readonly deadlineMs: number };

export type FromWorker =
  /** An application talked to this name or address for the first time. */
  | { readonly kind: 'want'; readonly destination: string }
  /** Not used for the idle time: may be let go. */
  | { readonly kind: 'idle'; readonly destination: string }
  | { readonly kind: 'listening'; readonly what: string; readonly address: string; readonly port: number }
  | { readonly kind: 'drained'; readonly direction: 'inbound' | 'outbound' };
