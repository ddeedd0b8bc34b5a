/**
 * A route of connections as meant: where bytes that nobody looks into go, by the server name of a TLS handshake or whatever they are.
 * Knows no Kubernetes object and no xDS.
 */

export interface StreamBackend {
  readonly namespace: string;
  readonly service: string;
  readonly port: number;
  readonly weight: number;
}

export interface StreamRoute {
  /** For people, metrics and logs: `namespace/route-name`. */
  readonly name: string;
  /** Consumer route: only for clients in this namespace. Null: for all. */
  readonly consumerNamespace: string | null;
  /** Exact, or `*.` and a suffix. Null: any connection, TLS or not. No name stands in two routes that one client sees. */
  readonly serverNames: readonly string[] | null;
  /** Backends that resolve; their weights count. */
  readonly backends: readonly StreamBackend[];
  /** That share of connections is refused: their backends do not resolve. With no weight at all, every one is. */
  readonly unresolvedWeight: number;
}

/** How opaque connections to a Service port behave, every field decided. */
export interface StreamPolicy {
  /** No byte either way for so long ends a connection; 0: never. */
  readonly idleTimeoutMs: number;
  /** Endpoints tried, before a byte was sent, until the client is refused; at least 1. */
  readonly connectAttempts: number;
}

/** Envoy: `TcpProxy.idle_timeout` is 1 h when it is not given. */
export const DEFAULT_STREAM_IDLE_MS = 3_600_000;

/** For destinations that no policy can be attached to. */
export const DEFAULT_STREAM_POLICY: StreamPolicy = { idleTimeoutMs: DEFAULT_STREAM_IDLE_MS, connectAttempts: 3 };

/** What a client of this namespace sees: consumer routes of its namespace take the place of the producer's (GEP-1324). */
export function visibleStreams(routes: readonly StreamRoute[], clientNamespace: string): readonly StreamRoute[] {
  if (routes.length === 0) return routes;
  const own = routes.filter((route) => route.consumerNamespace === clientNamespace);
  return own.length > 0 ? own : routes.filter((route) => route.consumerNamespace === null);
}
