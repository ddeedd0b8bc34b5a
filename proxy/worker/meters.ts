/**
 * What the data plane counts, and the handles that count it: resolved when something is linked, so that a request costs additions only.
 * Knows no exposition format and reads no clock. Every label comes from configuration or a verified certificate, never from a request.
 */
import type { Logger } from '#base/log.ts';
import type { HealthEvents } from '../balancing/health.ts';
import type { EndpointMeters } from '../exchange/upstream.ts';
import type { OutlierMeters } from './cluster.ts';
import type { PoolMeters } from '../upstream/pool.ts';
import type { Counter, Gauge } from '../telemetry/cells.ts';
import type { Histogram } from '../telemetry/histogram.ts';
import type { MetricFamily, MetricRegistry } from '../telemetry/metrics.ts';

/** One edge of the call graph, as labels. */
export interface Edge {
  readonly direction: 'inbound' | 'outbound';
  readonly sourceNamespace: string;
  readonly sourceWorkload: string;
  readonly destinationNamespace: string;
  readonly destinationService: string;
  readonly destinationWorkload: string;
  /** SPIFFE ID that the other end proved; empty in plaintext. */
  readonly peer: string;
}

const EDGE_LABELS = [
  'direction',
  'source_namespace',
  'source_workload',
  'destination_namespace',
  'destination_service',
  'destination_workload',
  'connection_security',
  'peer',
] as const;

/** `grpc_status` is a number, as the client reads it; empty for what is no call. */
const REQUEST_LABELS = [...EDGE_LABELS, 'response_code', 'response_flags', 'grpc_status'];

function edgeLabels(edge: Edge): string[] {
  return [
    edge.direction,
    edge.sourceNamespace,
    edge.sourceWorkload,
    edge.destinationNamespace,
    edge.destinationService,
    edge.destinationWorkload,
    edge.peer === '' ? 'none' : 'mutual_tls',
    edge.peer,
  ];
}

const SWITCHED = 101;

/** Name, help and labels of each family. */
const FAMILIES = {
  requests: ['tulle_requests_total', 'Requests that are over.', REQUEST_LABELS],
  durations: [
    'tulle_request_duration_seconds',
    'From the request head to the end of the answer; of a stream (10 s and more after its head) to its head.',
    EDGE_LABELS,
  ],
  requestBytes: ['tulle_request_bytes_total', 'Bytes of request bodies.', EDGE_LABELS],
  responseBytes: ['tulle_response_bytes_total', 'Bytes of response bodies.', EDGE_LABELS],
  retries: ['tulle_retries_total', 'Tries after the first.', EDGE_LABELS],
  hedges: [
    'tulle_hedges_total',
    'Tries beside another: those that gave the answer, and those that did not.',
    [...EDGE_LABELS, 'outcome'],
  ],
  fallbacks: ['tulle_fallbacks_total', 'Requests that a fallback answers.', ['cluster', 'reason']],
  localAnswers: ['tulle_local_answers_total', 'Answers that the sidecar gave itself.', ['direction', 'reason']],
  refused: [
    'tulle_refused_requests_total',
    'Requests that were refused before they had a route.',
    ['direction', 'reason'],
  ],
  stalls: [
    'tulle_downstream_stalls_total',
    'Clients that stood still for too long, within a request body or taking an answer, and were given up.',
    ['direction', 'stall'],
  ],
  connections: ['tulle_downstream_connections', 'Open connections of clients.', ['direction', 'connection_security']],
  connectionsOpened: [
    'tulle_downstream_connections_total',
    'Connections that clients opened.',
    ['direction', 'connection_security'],
  ],
  upstreamConnections: ['tulle_upstream_connections', 'Open connections to endpoints.', ['cluster']],
  upstreamConnectionsOpened: ['tulle_upstream_connections_total', 'Connections opened to endpoints.', ['cluster']],
  connectFailures: [
    'tulle_upstream_connect_failures_total',
    'Connections to endpoints that did not come about.',
    ['cluster', 'reason'],
  ],
  ejections: ['tulle_outlier_ejections_total', 'Endpoints left out for a while.', ['cluster', 'reason']],
  ejected: ['tulle_outlier_ejected', 'Endpoints that are left out now, or tried by one request.', ['cluster']],
  healthChecks: [
    'tulle_health_checks_total',
    'Active health checks of endpoints, by result: success, failure (an answer that is not as wanted), network_failure (none).',
    ['cluster', 'result'],
  ],
  failingChecks: ['tulle_health_check_failing', 'Endpoints that fail their active health checks now.', ['cluster']],
  handshakesRefused: ['tulle_handshakes_refused_total', 'Inbound TLS handshakes that were refused.', ['reason']],
  detections: [
    'tulle_protocol_detections_total',
    'What undeclared ports turned out to speak.',
    ['direction', 'port', 'protocol'],
  ],
  abuse: [
    'tulle_http2_abuse_total',
    'HTTP/2 connections ended because the other side cost too much.',
    ['side', 'reason'],
  ],
  tcpConnections: ['tulle_tcp_connections', 'Open opaque connections of clients.', ['direction']],
  tcpConnectionsEnded: [
    'tulle_tcp_connections_total',
    'Opaque connections that are over; with reason and flag when not both sides ended well.',
    ['direction', 'cluster', 'response_flags', 'reason'],
  ],
  tlsPassthrough: [
    'tulle_tls_passthrough_total',
    'TLS of applications, by what became of it and the TLSRoute that took it.',
    ['outcome', 'route'],
  ],
  tcpBytes: ['tulle_tcp_bytes_total', 'Bytes of opaque connections.', ['direction', 'way']],
  dnsAnswers: ['tulle_dns_answers_total', 'Answers to questions for the addresses of a name.', ['outcome']],
  unknownDestinations: [
    'tulle_unknown_destinations_total',
    'Connections and proxied requests to places that the control plane does not know.',
    ['outcome'],
  ],
  mirrored: [
    'tulle_mirrored_requests_total',
    'Copies of requests for a RequestMirror filter, by what became of them: answered, failed, too_long (the body is over the bound of what is kept), refused (its backend is at a limit or has no endpoint).',
    ['outcome'],
  ],
  tunnels: ['tulle_tunnels', 'Open WebSockets and other upgraded requests.', ['direction']],
} as const satisfies Record<string, readonly [name: string, help: string, labels: readonly string[]]>;

export class Meters {
  readonly requests: MetricFamily<Counter>;
  readonly durations: MetricFamily<Histogram>;
  readonly requestBytes: MetricFamily<Counter>;
  readonly responseBytes: MetricFamily<Counter>;
  readonly retries: MetricFamily<Counter>;
  readonly hedges: MetricFamily<Counter>;
  readonly fallbacks: MetricFamily<Counter>;
  readonly localAnswers: MetricFamily<Counter>;
  readonly refused: MetricFamily<Counter>;
  readonly stalls: MetricFamily<Counter>;
  readonly connections: MetricFamily<Gauge>;
  readonly connectionsOpened: MetricFamily<Counter>;
  readonly upstreamConnections: MetricFamily<Gauge>;
  readonly upstreamConnectionsOpened: MetricFamily<Counter>;
  readonly connectFailures: MetricFamily<Counter>;
  readonly ejections: MetricFamily<Counter>;
  readonly ejected: MetricFamily<Gauge>;
  readonly healthChecks: MetricFamily<Counter>;
  readonly failingChecks: MetricFamily<Gauge>;
  readonly handshakesRefused: MetricFamily<Counter>;
  readonly detections: MetricFamily<Counter>;
  readonly abuse: MetricFamily<Counter>;
  readonly tcpConnections: MetricFamily<Gauge>;
  readonly tcpConnectionsEnded: MetricFamily<Counter>;
  readonly tlsPassthrough: MetricFamily<Counter>;
  readonly tcpBytes: MetricFamily<Counter>;
  readonly dnsAnswers: MetricFamily<Counter>;
  readonly unknownDestinations: MetricFamily<Counter>;
  readonly mirrored: MetricFamily<Counter>;
  readonly tunnels: MetricFamily<Gauge>;

  constructor(registry: MetricRegistry) {
    this.requests = registry.counter(...FAMILIES.requests);
    this.durations = registry.histogram(...FAMILIES.durations);
    this.requestBytes = registry.counter(...FAMILIES.requestBytes);
    this.responseBytes = registry.counter(...FAMILIES.responseBytes);
    this.retries = registry.counter(...FAMILIES.retries);
    this.hedges = registry.counter(...FAMILIES.hedges);
    this.fallbacks = registry.counter(...FAMILIES.fallbacks);
    this.localAnswers = registry.counter(...FAMILIES.localAnswers);
    this.refused = registry.counter(...FAMILIES.refused);
    this.stalls = registry.counter(...FAMILIES.stalls);
    this.connections = registry.gauge(...FAMILIES.connections);
    this.connectionsOpened = registry.counter(...FAMILIES.connectionsOpened);
    this.upstreamConnections = registry.gauge(...FAMILIES.upstreamConnections);
    this.upstreamConnectionsOpened = registry.counter(...FAMILIES.upstreamConnectionsOpened);
    this.connectFailures = registry.counter(...FAMILIES.connectFailures);
    this.ejections = registry.counter(...FAMILIES.ejections);
    this.ejected = registry.gauge(...FAMILIES.ejected);
    this.healthChecks = registry.counter(...FAMILIES.healthChecks);
    this.failingChecks = registry.gauge(...FAMILIES.failingChecks);
    this.handshakesRefused = registry.counter(...FAMILIES.handshakesRefused);
    this.detections = registry.counter(...FAMILIES.detections);
    this.abuse = registry.counter(...FAMILIES.abuse);
    this.tcpConnections = registry.gauge(...FAMILIES.tcpConnections);
    this.tcpConnectionsEnded = registry.counter(...FAMILIES.tcpConnectionsEnded);
    this.tlsPassthrough = registry.counter(...FAMILIES.tlsPassthrough);
    this.tcpBytes = registry.counter(...FAMILIES.tcpBytes);
    this.dnsAnswers = registry.counter(...FAMILIES.dnsAnswers);
    this.unknownDestinations = registry.counter(...FAMILIES.unknownDestinations);
    this.mirrored = registry.counter(...FAMILIES.mirrored);
    this.tunnels = registry.gauge(...FAMILIES.tunnels);
  }

  /** Handles for one edge; series appear with their first request. */
  edge(edge: Edge): EndpointMeters {
    return new EdgeMeters(this, edge);
  }

  outlier(cluster: string): OutlierMeters {
    return {
      ejected: (reason, now) => {
        this.ejections.with(cluster, reason).inc();
        this.ejected.with(cluster).set(now);
      },
      returned: (now) => this.ejected.with(cluster).set(now),
    };
  }

  /** Counts checks, and logs who begins to fail and to pass. */
  health(cluster: string, log: Logger): HealthEvents {
    return {
      checked: (failure) => this.healthChecks.with(cluster, failure?.kind ?? 'success').inc(),
      counted: (failing) => this.failingChecks.with(cluster).set(failing),
      found: ({ config: { address, port } }, why, isChange) => {
        if (!isChange) return;
        if (why === '') log.info('an endpoint passes its health checks again', { cluster, address, port });
        else log.warn('an endpoint fails its health checks', { cluster, address, port, why });
      },
    };
  }

  pool(cluster: string): PoolMeters {
    const open = this.upstreamConnections.with(cluster);
    const opened = this.upstreamConnectionsOpened.with(cluster);
    return {
      connectionOpened: () => {
        open.inc();
        opened.inc();
      },
      connectionClosed: () => open.add(-1),
      connectFailed: (kind) => this.connectFailures.with(cluster, kind).inc(),
      abused: (reason) => this.abuse.with('upstream', reason).inc(),
    };
  }
}

class EdgeMeters implements EndpointMeters {
  readonly #meters: Meters;
  readonly #labels: string[];
  /** By status, for requests without flag: nearly all of them. */
  readonly #plain: (Counter | undefined)[] = [];
  /** By gRPC status, for calls with status 200 and without flag. */
  readonly #calls: (Counter | undefined)[] = [];
  #duration: Histogram | null = null;
  #requestBytes: Counter | null = null;
  #responseBytes: Counter | null = null;

  constructor(meters: Meters, edge: Edge) {
    this.#meters = meters;
    this.#labels = edgeLabels(edge);
  }

  request(
    status: number,
    grpcStatus: number,
    flag: string,
    durationMs: number,
    bytesIn: number,
    bytesOut: number,
  ): void {
    if (flag !== '') this.#counter(status, grpcStatus, flag).inc();
    else if (grpcStatus < 0) (this.#plain[status] ??= this.#counter(status, -1, '-')).inc();
    else if (status === 200) (this.#calls[grpcStatus] ??= this.#counter(200, grpcStatus, '-')).inc();
    else this.#counter(status, grpcStatus, '-').inc();
    // How long a tunnel was open says nothing of how fast an answer came.
    if (status !== SWITCHED) {
      this.#duration ??= this.#meters.durations.with(...this.#labels);
      this.#duration.observe(durationMs / 1000);
    }
    if (bytesIn > 0) (this.#requestBytes ??= this.#meters.requestBytes.with(...this.#labels)).add(bytesIn);
    if (bytesOut > 0) (this.#responseBytes ??= this.#meters.responseBytes.with(...this.#labels)).add(bytesOut);
  }

  retry(): void {
    this.#meters.retries.with(...this.#labels).inc();
  }

  hedge(won: boolean): void {
    this.#meters.hedges.with(...this.#labels, won ? 'won' : 'lost').inc();
  }

  #counter(status: number, grpcStatus: number, flag: string): Counter {
    const grpc = grpcStatus < 0 ? '' : String(grpcStatus);
    return this.#meters.requests.with(...this.#labels, String(status), flag, grpc);
  }
}
