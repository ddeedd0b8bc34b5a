/**
 * The numbers of RFC 9113: frame types, flags, error codes, and the sizes that frames must have.
 * Knows no connection; the only place that names a number of the wire.
 */

/** RFC 9113 6. */
export const TYPE = {
  data: 0,
  headers: 1,
  priority: 2,
  rstStream: 3,
  settings: 4,
  pushPromise: 5,
  ping: 6,
  goaway: 7,
  windowUpdate: 8,
  continuation: 9,
} as const;

/** Frames of a higher type belong to extensions; they are read over (RFC 9113 4.1). */
export const LAST_KNOWN_TYPE = TYPE.continuation;

export const FLAG = { ack: 0x1, endStream: 0x1, endHeaders: 0x4, padded: 0x8, priority: 0x20 } as const;

/** RFC 9113 7. */
export const ERROR = {
  none: 0x0,
  protocol: 0x1,
  internal: 0x2,
  flowControl: 0x3,
  settingsTimeout: 0x4,
  streamClosed: 0x5,
  frameSize: 0x6,
  refusedStream: 0x7,
  cancel: 0x8,
  compression: 0x9,
  connect: 0xa,
  enhanceYourCalm: 0xb,
  inadequateSecurity: 0xc,
  http11Required: 0xd,
} as const;

const ERROR_WORDS = [
  'NO_ERROR',
  'PROTOCOL_ERROR',
  'INTERNAL_ERROR',
  'FLOW_CONTROL_ERROR',
  'SETTINGS_TIMEOUT',
  'STREAM_CLOSED',
  'FRAME_SIZE_ERROR',
  'REFUSED_STREAM',
  'CANCEL',
  'COMPRESSION_ERROR',
  'CONNECT_ERROR',
  'ENHANCE_YOUR_CALM',
  'INADEQUATE_SECURITY',
  'HTTP_1_1_REQUIRED',
];

/** For people; a code that the peer made up is told as a number. */
export function errorWord(code: number): string {
  return ERROR_WORDS[code] ?? `error ${code}`;
}

export const FRAME_HEAD_BYTES = 9;

/** What every endpoint must accept, and all that we accept (RFC 9113 4.2). */
export const DEFAULT_MAX_FRAME_BYTES = 16_384;
export const LARGEST_MAX_FRAME_BYTES = 16_777_215;

export const MAX_STREAM_ID = 0x7fff_ffff;

/** What a client sends first (RFC 9113 3.4). */
export const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';

/** Why a connection, or a stream of it, is ended. `detail` is for people and never holds text from the wire. */
export interface H2Error {
  readonly code: number;
  readonly detail: string;
}
