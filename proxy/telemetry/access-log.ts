/**
 * One exchange as one line of JSON, in the vocabulary of Envoy's access log.
 * Knows no stream to write to. Text from the wire is escaped and bounded, so that no request can forge a line or fill a disk.
 */
import { escapeControls } from '#base/log.ts';

/** Empty text and null are left out of the line. Numbers are always there. */
export interface AccessRecord {
  /** Wall time in milliseconds since the epoch. */
  readonly startWallMs: number;
  readonly direction: 'inbound' | 'outbound';
  readonly method: string;
  readonly path: string;
  readonly authority: string;
  /** `HTTP/1.1` ... */
  readonly protocol: string;
  /** 0: the downstream went before there was one. */
  readonly responseCode: number;
  /** Null: no gRPC call. */
  readonly grpcStatus: number | null;
  /** Envoy's response flags, `-` when nothing went wrong. */
  readonly responseFlags: string;
  /** The word of `tulle-reason`; empty when the answer is the upstream's. */
  readonly reason: string;
  /** What a fallback answered in the place of; empty: none did. */
  readonly fallback: string;
  readonly durationMs: number;
  /** `address:port` of the last attempt. */
  readonly upstreamHost: string;
  readonly upstreamCluster: string;
  readonly routeName: string;
  readonly attempts: number;
  readonly bytesReceived: number;
  readonly bytesSent: number;
  readonly requestId: string;
  readonly traceId: string;
  readonly spanId: string;
  /** SPIFFE IDs that the two sides proved. */
  readonly downstreamPeer: string;
  readonly upstreamPeer: string;
  readonly downstreamAddress: string;
}

/** Longer text is cut, with `...` at its end. */
export const MAX_FIELD_LENGTH = 1024;

/** The line, with its line feed. */
export function formatAccess(record: AccessRecord): string {
  return accessLine({
    start_time: new Date(record.startWallMs).toISOString(),
    direction: record.direction,
    method: accessText(record.method),
    path: accessText(record.path),
    authority: accessText(record.authority),
    protocol: accessText(record.protocol),
    response_code: record.responseCode,
    grpc_status: record.grpcStatus ?? undefined,
    response_flags: record.responseFlags,
    reason: accessText(record.reason),
    fallback: accessText(record.fallback),
    duration_ms: Math.round(record.durationMs * 1000) / 1000,
    upstream_host: accessText(record.upstreamHost),
    upstream_cluster: accessText(record.upstreamCluster),
    route_name: accessText(record.routeName),
    attempts: record.attempts,
    bytes_received: record.bytesReceived,
    bytes_sent: record.bytesSent,
    request_id: accessText(record.requestId),
    trace_id: accessText(record.traceId),
    span_id: accessText(record.spanId),
    downstream_peer: accessText(record.downstreamPeer),
    upstream_peer: accessText(record.upstreamPeer),
    downstream_address: accessText(record.downstreamAddress),
  });
}

/** Of fields of plain text and numbers; none of them can end the line. */
export function accessLine(fields: Readonly<Record<string, string | number | undefined>>): string {
  return `${escapeControls(JSON.stringify(fields))}\n`;
}

/** Undefined when empty, cut when too long. */
export function accessText(value: string): string | undefined {
  if (value === '') return undefined;
  return value.length > MAX_FIELD_LENGTH ? `${value.slice(0, MAX_FIELD_LENGTH)}...` : value;
}
