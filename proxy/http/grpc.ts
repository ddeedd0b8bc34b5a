/**
 * What of gRPC can be read in header fields: whether a request is a call, its deadline, its status (grpc/grpc doc/PROTOCOL-HTTP2.md).
 * Knows no message of a call, no stream and no policy.
 */
import type { HeaderList } from './headers.ts';

/** Codes of grpc/grpc doc/statuscodes.md that we use ourselves. */
export const GRPC = {
  ok: 0,
  cancelled: 1,
  unknown: 2,
  deadlineExceeded: 4,
  permissionDenied: 7,
  resourceExhausted: 8,
  unimplemented: 12,
  internal: 13,
  unavailable: 14,
  unauthenticated: 16,
} as const;

const MEDIA_TYPE = 'application/grpc';

/** `application/grpc`, `application/grpc+proto`; not `application/grpc-web`, whose trailers are part of its body. */
export function isGrpc(headers: HeaderList): boolean {
  const type = headers.get('content-type');
  if (type === undefined || !type.startsWith(MEDIA_TYPE)) return false;
  const next = type[MEDIA_TYPE.length];
  return next === undefined || next === '+' || next === ';' || next === ' ';
}

/** Milliseconds in the units of `grpc-timeout`, coarsest first. */
const UNITS = [
  ['H', 3_600_000],
  ['M', 60_000],
  ['S', 1000],
  ['m', 1],
  ['u', 1e-3],
  ['n', 1e-6],
] as const;
const MAX_DIGITS = 8;
const MAX_NUMBER = 99_999_999;

/** `grpc-timeout` in milliseconds; null when it is malformed, more than 8 digits included: such a call has no deadline for us. */
export function parseGrpcTimeout(value: string): number | null {
  const digits = value.length - 1;
  if (digits < 1 || digits > MAX_DIGITS) return null;
  let count = 0;
  for (let i = 0; i < digits; i++) {
    const digit = value.charCodeAt(i) - 48;
    if (digit < 0 || digit > 9) return null;
    count = count * 10 + digit;
  }
  const unit = UNITS.find(([letter]) => letter === value[digits]);
  return unit === undefined ? null : count * unit[1];
}

/** In the finest unit from microseconds on that 8 digits can hold, rounded down; a deadline that is over is the shortest there is. */
export function formatGrpcTimeout(timeoutMs: number): string {
  for (const [letter, unitMs] of FINEST_FIRST) {
    const count = Math.floor(timeoutMs / unitMs);
    if (count <= MAX_NUMBER) return `${Math.max(count, 1)}${letter}`;
  }
  return `${MAX_NUMBER}H`;
}
const FINEST_FIRST = UNITS.slice(0, -1).toReversed();

/** `grpc-status` of a trailers-only answer, or of trailers; -1: there is none. What is no code is UNKNOWN, as clients take it. */
export function grpcStatusIn(headers: HeaderList): number {
  const value = headers.get('grpc-status');
  if (value === undefined) return -1;
  const code = /^\d{1,2}$/.test(value) ? Number(value) : GRPC.unknown;
  return code > GRPC.unauthenticated ? GRPC.unknown : code;
}

/** What a client makes of an answer without `grpc-status` (grpc/grpc doc/http-grpc-status-mapping.md). */
export function grpcStatusOfHttp(status: number): number {
  if (status === 400) return GRPC.internal;
  if (status === 401) return GRPC.unauthenticated;
  if (status === 403) return GRPC.permissionDenied;
  if (status === 404) return GRPC.unimplemented;
  return status === 429 || (status >= 502 && status <= 504) ? GRPC.unavailable : GRPC.unknown;
}
