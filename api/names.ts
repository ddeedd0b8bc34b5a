/**
 * Names on the wire: resource types, resource names, metadata keys. One place, for both sides.
 * Knows no message; says only how things are called.
 */
export const TYPE = {
  listener: 'type.googleapis.com/envoy.config.listener.v3.Listener',
  route: 'type.googleapis.com/envoy.config.route.v3.RouteConfiguration',
  cluster: 'type.googleapis.com/envoy.config.cluster.v3.Cluster',
  endpoints: 'type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment',
  secret: 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret',
} as const;

export type ResourceType = (typeof TYPE)[keyof typeof TYPE];

/** Order in which updates are sent, so that nothing refers to what is not there yet (xDS: make before break). Removals go in reverse. */
export const TYPE_ORDER: readonly ResourceType[] = [
  TYPE.secret,
  TYPE.cluster,
  TYPE.endpoints,
  TYPE.route,
  TYPE.listener,
];

export const EXTENSION = {
  httpConnectionManager:
    'type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager',
  tcpProxy: 'type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy',
  fault: 'type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault',
  localRateLimit: 'type.googleapis.com/envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit',
  rateLimit: 'type.googleapis.com/tulle.config.v1.RateLimit',
  fallback: 'type.googleapis.com/tulle.config.v1.Fallback',
  router: 'type.googleapis.com/envoy.extensions.filters.http.router.v3.Router',
  upstreamTls: 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext',
  downstreamTls: 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext',
  rawBuffer: 'type.googleapis.com/envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer',
  httpProtocolOptions: 'type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions',
  originalDst: 'type.googleapis.com/envoy.extensions.filters.listener.original_dst.v3.OriginalDst',
  tlsInspector: 'type.googleapis.com/envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector',
  httpInspector: 'type.googleapis.com/envoy.extensions.filters.listener.http_inspector.v3.HttpInspector',
  leastRequest: 'type.googleapis.com/envoy.extensions.load_balancing_policies.least_request.v3.LeastRequest',
  roundRobin: 'type.googleapis.com/envoy.extensions.load_balancing_policies.round_robin.v3.RoundRobin',
  random: 'type.googleapis.com/envoy.extensions.load_balancing_policies.random.v3.Random',
  ringHash: 'type.googleapis.com/envoy.extensions.load_balancing_policies.ring_hash.v3.RingHash',
  maglev: 'type.googleapis.com/envoy.extensions.load_balancing_policies.maglev.v3.Maglev',
  hashPolicy: 'type.googleapis.com/tulle.config.v1.HashPolicy',
  peakEwma: 'type.googleapis.com/tulle.config.v1.PeakEwma',
  retryOptions: 'type.googleapis.com/tulle.config.v1.RetryOptions',
  retryBudget: 'type.googleapis.com/tulle.config.v1.RetryBudget',
  outlierOptions: 'type.googleapis.com/tulle.config.v1.OutlierOptions',
  cors: 'type.googleapis.com/envoy.extensions.filters.http.cors.v3.Cors',
  corsPolicy: 'type.googleapis.com/envoy.extensions.filters.http.cors.v3.CorsPolicy',
  statefulSession: 'type.googleapis.com/envoy.extensions.filters.http.stateful_session.v3.StatefulSessionPerRoute',
  statefulSessionFilter: 'type.googleapis.com/envoy.extensions.filters.http.stateful_session.v3.StatefulSession',
  cookieSession: 'type.googleapis.com/envoy.extensions.http.stateful_session.cookie.v3.CookieBasedSessionState',
  headerSession: 'type.googleapis.com/envoy.extensions.http.stateful_session.header.v3.HeaderBasedSessionState',
  sessionOptions: 'type.googleapis.com/tulle.config.v1.SessionOptions',
  outboundPolicy: 'type.googleapis.com/tulle.config.v1.OutboundPolicy',
  serviceRef: 'type.googleapis.com/tulle.config.v1.ServiceRef',
  workloadRef: 'type.googleapis.com/tulle.config.v1.WorkloadRef',
} as const;

/** Keys in `typed_filter_metadata`. */
export const METADATA = {
  fallback: 'tulle.fallback',
  hashPolicy: 'tulle.hash_policy',
  outbound: 'tulle.outbound',
  rateLimit: 'tulle.rate_limit',
  outlier: 'tulle.outlier',
  retry: 'tulle.retry',
  retryBudget: 'tulle.retry_budget',
  service: 'tulle.service',
  session: 'tulle.session',
  workload: 'tulle.workload',
} as const;

/** Envoy's names of HTTP filters; keys in `typed_per_filter_config` of a route. */
export const HTTP_FILTER = {
  cors: 'envoy.filters.http.cors',
  fault: 'envoy.filters.http.fault',
  localRateLimit: 'envoy.filters.http.local_ratelimit',
  statefulSession: 'envoy.filters.http.stateful_session',
} as const;

/** Key in an endpoint's `filter_metadata` that Envoy compares with `transport_socket_matches`. */
export const TRANSPORT_SOCKET_MATCH = 'envoy.transport_socket_match';
/** Field below it, and its one value: this endpoint takes mutual TLS. */
export const TLS_MODE_FIELD = 'tulle';
export const TLS_MODE_MTLS = 'mtls';

/** The listener of a workload's inbound side. */
export const INBOUND_LISTENER = 'inbound';
/** The listener that says what holds for all outbound connections; for Envoy it is also where captured ones arrive. */
export const OUTBOUND_LISTENER = 'outbound';
/** The secret that holds the trust bundle. */
export const TRUST_SECRET = 'ROOTCA';
/** The secret that holds a client's own certificate, as Envoy names it; sidecars make their own by CSR. */
export const OWN_SECRET = 'default';
/** The cluster that leads to the captured address itself. */
export const PASSTHROUGH_CLUSTER = 'passthrough';
/** The cluster that leads nowhere. */
export const BLACKHOLE_CLUSTER = 'blackhole';

/** Listener, route table, cluster and endpoints of a Service port all have this name: `reviews.shop.svc.cluster.local:8080`. */
export function destinationName(host: string, port: number): string {
  return `${host}:${port}`;
}

/** A captured address as a name: `10.96.0.12:8080`, `[fd00::12]:8080`. */
export function addressName(address: string, port: number): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}

/** The cluster that leads from a sidecar to the application's port beside it. */
export function inboundCluster(port: number): string {
  return `${INBOUND_LISTENER}|${port}`;
}

/**
 * What a sidecar offers and accepts in ALPN. Every handshake of the mesh offers `mesh`, alone for opaque bytes: so a port that takes both
 * can tell a peer's handshake from one of the applications' own.
 */
export const ALPN = { h2: 'h2', http1: 'http/1.1', mesh: 'tulle' } as const;

/** Name and port of a destination; null when it is no `name:port`. IPv6 addresses lose their brackets. */
export function parseDestination(name: string): { readonly host: string; readonly port: number } | null {
  const colon = name.lastIndexOf(':');
  const digits = name.slice(colon + 1);
  if (colon <= 0 || !/^\d{1,5}$/.test(digits) || Number(digits) < 1 || Number(digits) > 65_535) return null;
  const host = name.slice(0, colon);
  return { host: host.startsWith('[') && host.endsWith(']') ? host.slice(1, -1) : host, port: Number(digits) };
}
