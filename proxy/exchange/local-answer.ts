/**
 * Answers that we give ourselves: the one place where a failure becomes a response, in HTTP and in gRPC form.
 * Knows no connection; the reason travels in `tulle-reason`, so that the next sidecar and the user can tell who answered and why.
 */
import { HeaderList } from '../http/headers.ts';
import { EMPTY_BODY, NO_BODY, ResponseHead, bodyOfLength, type BodyKind, type RequestHead } from '../http/message.ts';
import { FAILURES, type Failure } from './failure.ts';

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

/** A gRPC client reads `grpc-status` and takes no other answer. */
export function isGrpc(request: RequestHead | null): boolean {
  const type = request?.headers.get('content-type');
  return type !== undefined && type.startsWith('application/grpc');
}

/** What may stand in a header value and in `grpc-message` (percent-encoded there by the specification; we keep to printable ASCII). */
function printable(text: string): string {
  return text.replaceAll(/[^\x20-\x7e]/g, '?').slice(0, 200);
}

/** The answer to a failure; `request` is null when not even a head could be read. */
export function localAnswer(failure: Failure, request: RequestHead | null): LocalAnswer {
  const row = FAILURES[failure.kind];
  const detail = printable(failure.detail);
  if (isGrpc(request)) {
    const headers = new HeaderList([
      'content-type',
      'application/grpc',
      'grpc-status',
      String(row.grpc),
      'grpc-message',
      `${failure.kind}: ${detail}`.replaceAll('%', '%25'),
      'tulle-reason',
      failure.kind,
    ]);
    return { head: responseHead(200, headers, EMPTY_BODY), bodyKind: EMPTY_BODY, body: EMPTY };
  }
  const headers = new HeaderList(['content-type', 'text/plain; charset=utf-8', 'tulle-reason', failure.kind]);
  const body = Buffer.from(`${failure.kind}: ${detail}\n`);
  const bodyKind = bodyOfLength(body.length);
  return { head: responseHead(row.status, headers, bodyKind), bodyKind, body };
}
