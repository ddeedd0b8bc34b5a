/**
 * What forwarding does for a gRPC call beyond any other request: its deadline, its status, its end when something breaks half way.
 * Knows no retry and no timer.
 */
import type { Exchange } from '../exchange/exchange.ts';
import type { Failure } from '../exchange/failure.ts';
import { grpcFailureFields } from '../exchange/local-answer.ts';
import type { DownstreamStream } from '../exchange/stream.ts';
import { formatGrpcTimeout, grpcStatusIn, parseGrpcTimeout } from '../http/grpc.ts';
import { HeaderList } from '../http/headers.ts';
import type { ResponseHead } from '../http/message.ts';
import { NEVER } from './deadlines.ts';

/** Clock milliseconds at which the call is over by its own word; NEVER: it said nothing that can be read, or is no call. */
export function callDeadlineMs({ isGrpc, request, startMs }: Exchange): number {
  const value = isGrpc ? request.headers.get('grpc-timeout') : undefined;
  const timeoutMs = value === undefined ? null : parseGrpcTimeout(value);
  return timeoutMs === null ? NEVER : startMs + timeoutMs;
}

/** Tells the next hop what is left, so that it does not work for a client that has given up. */
export function passDeadline(headers: HeaderList, leftMs: number): void {
  headers.set('grpc-timeout', formatGrpcTimeout(leftMs));
}

/** Notes what the client is told first; of a call, with its status if the answer is trailers only. */
export function noteHead(exchange: Exchange, head: ResponseHead): void {
  exchange.status = head.status;
  if (exchange.isGrpc) exchange.grpcStatus = grpcStatusIn(head.headers);
}

export function noteTrailers(exchange: Exchange, trailers: HeaderList | null): void {
  if (exchange.isGrpc && trailers !== null && exchange.grpcStatus < 0) exchange.grpcStatus = grpcStatusIn(trailers);
}

/**
 * Ends an answer whose head went down already. A clean end would make it look whole, so it is reset; a call has a better way to say so:
 * the status in its trailers, where a reset would tell its client no more than INTERNAL.
 */
export function cutShort(downstream: DownstreamStream, { isGrpc, request }: Exchange, failure: Failure): void {
  if (isGrpc && request.version === 20) downstream.end(new HeaderList(grpcFailureFields(failure)));
  else downstream.reset();
}
