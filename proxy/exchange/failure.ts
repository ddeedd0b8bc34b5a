/**
 * The only way for an exchange to go wrong, and one table of what follows from it.
 * Knows no socket and no policy: what a failure means for the client, for the connection, and for a retry.
 */
import { grpcStatusOfHttp } from '../http/grpc.ts';

export type FailureKind =
  | 'no-route'
  | 'no-cluster'
  | 'no-healthy-endpoint'
  | 'unknown-destination'
  | 'unavailable-destination'
  | 'connect-failure'
  | 'connect-timeout'
  | 'tls-failure'
  | 'refused-stream'
  | 'upstream-reset'
  | 'upstream-protocol-error'
  | 'response-headers-too-large'
  | 'request-timeout'
  | 'per-try-timeout'
  | 'idle-timeout'
  | 'overflow'
  | 'loop'
  | 'bad-request'
  | 'uri-too-long'
  | 'headers-too-large'
  | 'unsupported-encoding'
  | 'unsupported-version'
  | 'unsupported-expectation'
  | 'payload-too-large'
  | 'request-header-timeout'
  | 'request-body-timeout'
  | 'connect-not-supported'
  | 'downstream-reset'
  | 'draining'
  | 'rate-limited'
  | 'fault-abort'
  | 'internal';

export interface Failure {
  readonly kind: FailureKind;
  /** Whose fault it is. */
  readonly side: 'downstream' | 'upstream' | 'local';
  /** What had gone to the upstream when it happened: decides whether a retry is safe. */
  readonly sent: 'nothing' | 'head' | 'body';
  /** For people: what exactly happened. Never text from the wire without escaping. */
  readonly detail: string;
  /** Status of the answer in the place of the table's; absent: that of the table. */
  readonly status?: number;
}

/** What a client did wrong before anything of its request was sent on. */
export function clientFailure(kind: FailureKind, detail: string): Failure {
  return { kind, side: 'downstream', sent: 'nothing', detail };
}

export interface FailureRow {
  /** HTTP status of the local answer; 0: the downstream is gone, nobody to answer. */
  readonly status: number;
  /** gRPC status of the local answer (grpc/grpc doc/statuscodes.md, http-grpc-status-mapping.md). */
  readonly grpc: number;
  /** Envoy's response flag for the access log. */
  readonly flag: string;
  /** Close the downstream HTTP/1.1 connection after the answer: its framing cannot be trusted any more. */
  readonly close: boolean;
  /**
   * `unsent`: provably did not reach the application, any request may be tried again; `reset`: may have reached it;
   * `timeout`: tried again only on demand; `never`.
   */
  readonly retry: 'unsent' | 'reset' | 'timeout' | 'never';
}

function row(status: number, grpc: number, flag: string, close: boolean, retry: FailureRow['retry']): FailureRow {
  return { status, grpc, flag, close, retry };
}

/** gRPC: 2 unknown, 4 deadline exceeded, 8 resource exhausted, 12 unimplemented, 13 internal, 14 unavailable. */
export const FAILURES: Readonly<Record<FailureKind, FailureRow>> = {
  'no-route': row(404, 12, 'NR', false, 'never'),
  'no-cluster': row(503, 14, 'NC', false, 'never'),
  'no-healthy-endpoint': row(503, 14, 'UH', false, 'never'),
  'unknown-destination': row(502, 14, 'NR', false, 'never'),
  'unavailable-destination': row(500, 14, 'NC', false, 'never'),
  'connect-failure': row(503, 14, 'UF', false, 'unsent'),
  'connect-timeout': row(503, 14, 'UF', false, 'unsent'),
  'tls-failure': row(503, 14, 'UF', false, 'unsent'),
  'refused-stream': row(503, 14, 'UR', false, 'unsent'),
  'upstream-reset': row(503, 14, 'UC', false, 'reset'),
  'upstream-protocol-error': row(502, 14, 'UPE', false, 'never'),
  'response-headers-too-large': row(502, 14, 'UPE', false, 'never'),
  'request-timeout': row(504, 4, 'UT', false, 'never'),
  'per-try-timeout': row(504, 4, 'UT', false, 'timeout'),
  'idle-timeout': row(504, 4, 'SI', false, 'never'),
  overflow: row(503, 8, 'UO', false, 'never'),
  loop: row(508, 13, 'LR', false, 'never'),
  'bad-request': row(400, 13, 'DPE', true, 'never'),
  'uri-too-long': row(414, 13, 'DPE', true, 'never'),
  'headers-too-large': row(431, 8, 'DPE', true, 'never'),
  'unsupported-encoding': row(501, 12, 'DPE', true, 'never'),
  'unsupported-version': row(505, 12, 'DPE', true, 'never'),
  'unsupported-expectation': row(417, 12, 'DPE', true, 'never'),
  'payload-too-large': row(413, 8, 'DPE', true, 'never'),
  'request-header-timeout': row(408, 4, 'DT', true, 'never'),
  'request-body-timeout': row(408, 4, 'DT', true, 'never'),
  'connect-not-supported': row(501, 12, 'DPE', true, 'never'),
  'downstream-reset': row(0, 1, 'DC', true, 'never'),
  draining: row(503, 14, 'UH', true, 'never'),
  'rate-limited': row(429, 8, 'RL', false, 'never'),
  'fault-abort': row(503, 14, 'FI', false, 'never'),
  internal: row(500, 13, '-', true, 'never'),
};

/** Of the answer to a failure. */
export function statusOf({ kind, status }: Failure): number {
  return status ?? FAILURES[kind].status;
}

/** The same in gRPC: where a status was chosen, what clients make of it (http-grpc-status-mapping.md), but for a full bucket. */
export function grpcStatusOf({ kind, status }: Failure): number {
  return status === undefined || kind === 'rate-limited' ? FAILURES[kind].grpc : grpcStatusOfHttp(status);
}
