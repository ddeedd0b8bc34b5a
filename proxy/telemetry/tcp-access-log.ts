/**
 * One opaque connection as one line of JSON, with the keys of the line of an exchange (access-log.ts).
 * Knows no stream to write to.
 */
import { accessLine, accessText } from './access-log.ts';

/** Empty text is left out of the line. Numbers are always there. */
export interface TcpAccessRecord {
  /** Wall time in milliseconds since the epoch, of the moment when the connection was known to be opaque. */
  readonly startWallMs: number;
  readonly direction: 'inbound' | 'outbound';
  /** Envoy's response flags, `-` when both sides ended well. */
  readonly responseFlags: string;
  /** Why it ended, when not well. */
  readonly reason: string;
  readonly durationMs: number;
  /** `address:port` of the endpoint that was reached. */
  readonly upstreamHost: string;
  readonly upstreamCluster: string;
  readonly routeName: string;
  /** Envoy's `REQUESTED_SERVER_NAME`: what the application's own TLS asked for. */
  readonly serverName: string;
  readonly attempts: number;
  /** From the client, and to it. */
  readonly bytesReceived: number;
  readonly bytesSent: number;
  /** SPIFFE IDs that the two sides proved. */
  readonly downstreamPeer: string;
  readonly upstreamPeer: string;
  readonly downstreamAddress: string;
}

/** The line, with its line feed. */
export function formatTcpAccess(record: TcpAccessRecord): string {
  return accessLine({
    start_time: new Date(record.startWallMs).toISOString(),
    direction: record.direction,
    protocol: 'TCP',
    response_flags: record.responseFlags,
    reason: accessText(record.reason),
    duration_ms: Math.round(record.durationMs * 1000) / 1000,
    upstream_host: accessText(record.upstreamHost),
    upstream_cluster: accessText(record.upstreamCluster),
    route_name: accessText(record.routeName),
    requested_server_name: accessText(record.serverName),
    attempts: record.attempts,
    bytes_received: record.bytesReceived,
    bytes_sent: record.bytesSent,
    downstream_peer: accessText(record.downstreamPeer),
    upstream_peer: accessText(record.upstreamPeer),
    downstream_address: accessText(record.downstreamAddress),
  });
}
