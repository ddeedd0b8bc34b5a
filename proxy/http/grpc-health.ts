/**
 * Question and answer of grpc.health.v1 as bodies of a unary call: five bytes of prefix, then the message (grpc/grpc doc/PROTOCOL-HTTP2.md).
 * Knows no stream.
 */
import {
  HealthCheckRequest,
  HealthCheckResponse,
  HealthCheckResponse_ServingStatus as ServingStatus,
} from '#api/generated/grpc/health/v1/health.ts';

export const GRPC_HEALTH_PATH = '/grpc.health.v1.Health/Check';

const PREFIX_BYTES = 5;
/** An answer is two bytes long; there may be fields that we do not know. */
export const MAX_HEALTH_ANSWER_BYTES = 1024;

/** @param service empty: the whole server */
export function healthQuestion(service: string): Buffer {
  const message = HealthCheckRequest.encode(HealthCheckRequest.fromPartial({ service })).finish();
  const body = Buffer.alloc(PREFIX_BYTES + message.length);
  body.writeUInt32BE(message.length, 1);
  body.set(message, PREFIX_BYTES);
  return body;
}

/** The word for the status in an answer, as `SERVING`; null: this is no such answer. */
export function healthStatus(body: Buffer): string | null {
  if (body.length < PREFIX_BYTES || body[0] !== 0 || body.readUInt32BE(1) !== body.length - PREFIX_BYTES) return null;
  try {
    const { status } = HealthCheckResponse.decode(body.subarray(PREFIX_BYTES));
    return (
      Object.keys(ServingStatus).find((word) => ServingStatus[word as keyof typeof ServingStatus] === status) ?? null
    );
  } catch {
    return null;
  }
}
