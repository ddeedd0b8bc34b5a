/**
 * Answers that we give ourselves: the one place where a failure becomes a response, in HTTP and in gRPC form.
 * Knows no connection; the reason travels in `tulle-reason`, so that the next sidecar and the user can tell who answered and why.
 */
import { isGrpc } from '../http/grpc.ts';
import { HeaderList } from '../http/headers.ts';
import { EMPTY_BODY, NO_BODY, ResponseHead, bodyOfLength, type BodyKind, type RequestHead } from '../http/message.ts';
import { grpcStatusOf, statusOf, type Failure } from './failure.ts';

export interface LocalAnswer {
  readonly head: ResponseHead;
  readonly bodyKind: BodyKind;
  readonly body: Buffer;
}

const EMPTY = Buffer.alloc(0);

/** A response head of ours: version 1.1, the connection stays. */
export function responseHead(status: number, headers: HeaderList, body: BodyKind): ResponseHead {
  return new ResponseHead(11, status, '', headers, body, true, 0, '', -1);
}

/** `100 Continue` */
export function continueHead(): ResponseHead {
  return responseHead(100, new HeaderList(), NO_BODY);
}

/** What may stand in a header value and in `grpc-message` (percent-encoded there by the specification; we keep to printable ASCII). */
function printable(text: string): string {
  return text.replaceAll(/[^\x20-\x7e]/g, '?').slice(0, 200);
}

/** What tells a gRPC client of a failure: in the head of a trailers-only answer, or in trailers. */
export function grpcFailureFields(failure: Failure): string[] {
  const { kind, detail } = failure;
  const message = `${kind}: ${printable(detail)}`.replaceAll('%', '%25');
  return ['grpc-status', String(grpcStatusOf(failure)), 'grpc-message', message];
}

/** The answer to a failure; `request` is null when not even a head could be read. */
export function localAnswer(failure: Failure, request: RequestHead | null): LocalAnswer {
  // A gRPC client reads `grpc-status` and takes no other answer.
  if (request !== null && isGrpc(request.headers)) {
    const fields = ['content-type', 'application/grpc', ...grpcFailureFields(failure), 'tulle-reason', failure.kind];
    const headers = new HeaderList(fields);
    return { head: responseHead(200, headers, EMPTY_BODY), bodyKind: EMPTY_BODY, body: EMPTY };
  }
  const headers = new HeaderList(['content-type', 'text/plain; charset=utf-8', 'tulle-reason', failure.kind]);
  const body = Buffer.from(`${failure.kind}: ${printable(failure.detail)}\n`);
  const bodyKind = bodyOfLength(body.length);
  return { head: responseHead(statusOf(failure), headers, bodyKind), bodyKind, body };
}
