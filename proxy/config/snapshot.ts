/**
 * What the sidecar was told, checked. Plain data only: printable, comparable, postable to a worker.
 * Knows no protobuf, no socket, and nothing of how a request is handled.
 * Objects keep their identity from one snapshot to the next while their resource did not change.
 */
import type { BalancerConfig } from './balancers.ts';
import type { HealthCheckConfig, OutlierConfig } from './endpoint-health.ts';
import type { PathMatchConfig, StringMatchConfig, ValueMatchConfig } from './matches.ts';
import type { RequestFilterConfig } from './request-filters.ts';
import type { FallbackConfig, RetryConfig } from './retries.ts';
import type { SessionConfig } from './sessions.ts';

export interface Snapshot {
  /** By the name asked for: `inbound`, `host:port`, or `address:port` as captured. */
  readonly listeners: ReadonlyMap<string, ListenerConfig>;
  readonly routes: ReadonlyMap<string, RouteTableConfig>;
  readonly clusters: ReadonlyMap<string, ClusterConfig>;
  /** By cluster name. Apart from clusters, for they change most. */
  readonly endpoints: ReadonlyMap<string, EndpointsConfig>;
  /** Trust bundle in force; null before the first one came: nobody is trusted then. */
  readonly trust: TrustConfig | null;
}

/** State of a name that was asked for. `pending`: an answer, or something that it refers to, has not come yet. */
export type DestinationState = 'pending' | 'ready' | 'unknown';

export interface TrustConfig {
  /** PEM certificates, roots of the trust domain. */
  readonly rootsPem: readonly string[];
}

export interface ListenerConfig {
  readonly name: string;
  readonly direction: 'inbound' | 'outbound';
  readonly address: string;
  readonly port: number;
  /** Tried in order; the first that matches counts. */
  readonly chains: readonly FilterChainConfig[];
  /**
   * Outbound: chains for TLS of the application, by the server name it asks for. Empty: TLS is like any other bytes.
   * Otherwise TLS that matches none is refused, and so is what is not TLS where `chains` is empty.
   */
  readonly serverNames: readonly ServerNameChainConfig[];
  readonly service: ServiceRef | null;
  /** Only of the listener `outbound`: what holds for all connections of the application. */
  readonly outbound?: OutboundConfig;
}

export interface OutboundConfig {
  /** Connections to destinations that the control plane does not know are refused; else they are passed on untouched. */
  readonly refuseUnknown: boolean;
  /** Ports where what is captured by an unknown address is looked at for the name that it asks for. */
  readonly namedPorts: readonly number[];
}

/** Which Kubernetes Service port this is, for metrics and logs. */
export interface ServiceRef {
  readonly namespace: string;
  readonly name: string;
  readonly port: number;
}

export interface FilterChainConfig {
  readonly name: string;
  /** Original destination port; null: any. */
  readonly destinationPort: number | null;
  /** First bytes are a TLS record (`tls`) or anything else (`raw_buffer`); null: either. */
  readonly transport: 'tls' | 'raw_buffer' | null;
  /** Terminate mTLS on this chain. */
  readonly mtls: boolean;
  readonly network: HttpNetworkConfig | TcpNetworkConfig;
}

export interface ServerNameChainConfig {
  /** Exact, `*.` and a suffix, or `*` for any and for none; lower-case. */
  readonly names: readonly string[];
  readonly network: TcpNetworkConfig;
}

/** HTTP; on an undeclared port only when the first bytes say so, and `fallback` otherwise. */
export interface HttpNetworkConfig {
  readonly kind: 'http';
  readonly statPrefix: string;
  /** Name of a route table, or the table itself. */
  readonly routes: string | RouteTableConfig;
  /** Null: the port is declared HTTP, other first bytes are answered 400. */
  readonly fallback: TcpNetworkConfig | null;
}

export interface TcpNetworkConfig {
  readonly kind: 'tcp';
  /** Of the filter chain: for a TLSRoute or TCPRoute `namespace/name`. */
  readonly name: string;
  readonly statPrefix: string;
  /** At least one, and one with a weight. A weight of 0 is never chosen. */
  readonly clusters: readonly { readonly cluster: string; readonly weight: number }[];
  /** Milliseconds without a byte either way; 0: no limit (Envoy `idle_timeout`). */
  readonly idleTimeoutMs: number;
  /** At least 1 (Envoy `max_connect_attempts`). */
  readonly connectAttempts: number;
}

export interface RouteTableConfig {
  readonly name: string;
  readonly virtualHosts: readonly VirtualHostConfig[];
}

export interface VirtualHostConfig {
  readonly name: string;
  /** Exact hosts, `*.suffix`, `prefix.*` or `*` (Envoy `VirtualHost.domains`), lower-case. */
  readonly domains: readonly string[];
  readonly routes: readonly RouteConfig[];
}

export interface HeaderChangeConfig {
  readonly name: string;
  readonly value: string;
  readonly how: 'append' | 'set' | 'add-if-absent' | 'set-if-present';
}

export interface HeaderEditsConfig {
  readonly changes: readonly HeaderChangeConfig[];
  readonly remove: readonly string[];
}

export interface RouteConfig {
  readonly name: string;
  readonly path: PathMatchConfig;
  readonly headers: readonly ValueMatchConfig[];
  readonly query: readonly ValueMatchConfig[];
  /** Null when there is nothing to change. */
  readonly requestHeaders: HeaderEditsConfig | null;
  readonly responseHeaders: HeaderEditsConfig | null;
  /** What stands between a request and the action, in this order; absent: nothing. */
  readonly filters?: readonly RequestFilterConfig[];
  readonly action: RouteActionConfig;
  /** Absent: the route says nothing of other origins. */
  readonly cors?: CorsConfig;
}

/** Envoy `CorsPolicy`; texts are values of header fields, empty: not sent. */
export interface CorsConfig {
  readonly origins: readonly StringMatchConfig[];
  readonly credentials: boolean;
  readonly methods: string;
  readonly headers: string;
  readonly expose: string;
  readonly maxAge: string;
  /** Preflights of origins that are not allowed go on like other requests; else they are answered without a permission. */
  readonly forwardsUnknown: boolean;
}

export type RouteActionConfig =
  | ForwardConfig
  | { readonly kind: 'redirect'; readonly redirect: RedirectConfig }
  | { readonly kind: 'respond'; readonly status: number; readonly body: string };

/** Replaces every part of the path, without query, that matches (Envoy `regex_rewrite`). */
export interface RegexRewriteConfig {
  /** RE2 syntax. */
  readonly regex: string;
  /** `\1` is the first group, `\0` all that matched, two backslashes are one. */
  readonly substitution: string;
}

export interface RedirectConfig {
  readonly scheme: string;
  readonly host: string;
  readonly port: number;
  readonly path: string;
  readonly prefixRewrite: string;
  /** Absent: none. At most one of `path`, `prefixRewrite` and this. */
  readonly regexRewrite?: RegexRewriteConfig;
  readonly status: 301 | 302 | 303 | 307 | 308;
}

export interface WeightedClusterConfig {
  readonly cluster: string;
  readonly weight: number;
  readonly requestHeaders: HeaderEditsConfig | null;
  readonly responseHeaders: HeaderEditsConfig | null;
}

export interface ForwardConfig {
  readonly kind: 'forward';
  /** At least one. A weight of 0 is never chosen. */
  readonly clusters: readonly WeightedClusterConfig[];
  /** Empty: unchanged. */
  readonly prefixRewrite: string;
  /** Absent: none. Never together with `prefixRewrite`. */
  readonly regexRewrite?: RegexRewriteConfig;
  readonly hostRewrite: string;
  /** Milliseconds until the response head; 0: none. */
  readonly timeoutMs: number;
  readonly idleTimeoutMs: number;
  readonly retry: RetryConfig | null;
  /** Clusters that get a copy of requests; absent: none (Envoy `request_mirror_policies`). */
  readonly mirrors?: readonly MirrorConfig[];
  /** Absent: none. */
  readonly fallback?: FallbackConfig;
  /** Requests of a session stay with one endpoint; absent: there are none. */
  readonly session?: SessionConfig;
  /** Requests carry `x-envoy-attempt-count` (Envoy `include_request_attempt_count`). */
  readonly countAttempts?: boolean;
  /** The failure when the chosen cluster does not exist (Envoy `cluster_not_found_response_code`); absent: `no-cluster`, 503. */
  readonly missingCluster?: 'unavailable-destination';
}

export interface MirrorConfig {
  readonly cluster: string;
  readonly percent: number;
}

export interface ClusterConfig {
  readonly name: string;
  /**
   * `eds`: endpoints come as a resource of the cluster's name; `static`: they are in `endpoints`; `dns`: names are resolved;
   * `original-dst`: the captured address itself.
   */
  readonly discovery: 'eds' | 'static' | 'dns' | 'original-dst';
  /** With `dns` only. */
  readonly dns?: DnsConfig;
  /** TLS towards hosts outside the mesh, begun here; absent: none. Apart from the mesh's own mutual TLS. */
  readonly tls?: OriginationConfig;
  readonly endpoints: EndpointsConfig | null;
  readonly connectTimeoutMs: number;
  readonly balancer: BalancerConfig;
  /** SPIFFE IDs that an mTLS endpoint of this cluster may prove; an endpoint's own identity narrows it further. */
  readonly peerIdentities: readonly string[];
  readonly limits: {
    readonly connections: number;
    readonly pendingRequests: number;
    readonly requests: number;
    /** Absent: no limit. */
    readonly requestsPerConnection?: number;
  };
  /** Absent: nobody is ejected. */
  readonly outlier?: OutlierConfig;
  /** Absent: nobody is asked. */
  readonly healthCheck?: HealthCheckConfig;
  readonly retryBudget: { readonly percent: number; readonly minPerSecond: number; readonly intervalMs: number };
  /** Plaintext endpoints speak HTTP/2 with prior knowledge. Between sidecars it is HTTP/2 in any case. */
  readonly http2: boolean;
  readonly service: ServiceRef | null;
}

/** Names to resolve, and how often. */
export interface DnsConfig {
  readonly names: readonly { readonly host: string; readonly port: number }[];
  /** All addresses of a name are one endpoint (Envoy LOGICAL_DNS); else each is one of its own (STRICT_DNS). */
  readonly logical: boolean;
  readonly families: 'all' | 'v4' | 'v6' | 'prefer-v4' | 'prefer-v6';
  /** A name is asked for again when its TTL is over; else, and where there is none, after `refreshMs`. */
  readonly respectTtl: boolean;
  readonly refreshMs: number;
  /** After a failure; doubles up to the longest. */
  readonly failureMs: number;
  readonly maxFailureMs: number;
}

export interface OriginationConfig {
  /** Empty: none is sent. */
  readonly sni: string;
  /** False: whoever answers is taken. */
  readonly verify: boolean;
  /** PEM; null: see `caFile`. */
  readonly caPem: string | null;
  /** Null, with `caPem` too: the roots of the system. */
  readonly caFile: string | null;
  /** DNS names of which the certificate must carry one; empty: any of those that are trusted. */
  readonly names: readonly string[];
  readonly certificate: { readonly certFile: string; readonly keyFile: string } | null;
  readonly minVersion: 'TLSv1.2' | 'TLSv1.3';
  readonly maxVersion: 'TLSv1.2' | 'TLSv1.3';
  /** In order of preference; empty: none is offered. */
  readonly alpn: readonly string[];
}

export interface EndpointConfig {
  readonly address: string;
  readonly port: number;
  /** Further addresses of the same endpoint, in order of preference (Envoy `additional_addresses`); absent: none. */
  readonly otherAddresses?: readonly string[];
  readonly healthy: boolean;
  readonly weight: number;
  readonly zone: string;
  /** Who has a higher number gets what the lower ones cannot take (Envoy `LocalityLbEndpoints.priority`); absent: 0. */
  readonly priority?: number;
  /** Connect with mutual TLS. */
  readonly mtls: boolean;
  /** SPIFFE ID that the peer must prove; empty without mTLS. */
  readonly identity: string;
  readonly workload: { readonly namespace: string; readonly pod: string; readonly owner: string } | null;
}

export interface EndpointsConfig {
  readonly cluster: string;
  readonly endpoints: readonly EndpointConfig[];
}

export const EMPTY_SNAPSHOT: Snapshot = {
  listeners: new Map(),
  routes: new Map(),
  clusters: new Map(),
  endpoints: new Map(),
  trust: null,
};
