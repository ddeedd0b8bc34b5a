/**
 * The two ends of an exchange as the middle sees them: what HTTP/1.1 and HTTP/2 both offer, so that nobody above asks the version.
 * Knows no socket. Each pair is a stream (what we call) and a sink (what calls us).
 */
import type { HeaderList } from '../http/headers.ts';
import type { BodyKind, RequestHead, ResponseHead } from '../http/message.ts';
import type { FailureKind } from './failure.ts';

/** The client's end: answers are written here. All calls after `end` or `reset` are ignored. */
export interface DownstreamStream {
  /** 1xx, any number; left out for HTTP/1.0 clients. */
  writeInterim(head: ResponseHead): void;
  /** Once. A body that is not `none` is followed by data and `end`. */
  writeHead(head: ResponseHead, body: BodyKind): void;
  /** False: the client does not keep up; wait for `onDownstreamDrain`. The bytes are taken all the same. */
  writeData(chunk: Buffer, start: number, end: number): boolean;
  end(trailers: HeaderList | null): void;
  /** Ends the stream so that the client sees an error, never a clean end. */
  reset(): void;
  pauseRequest(): void;
  resumeRequest(): void;
  /** The connection closes after this answer (HTTP/1.1), or takes no further stream (HTTP/2). */
  closeAfter(): void;
  /** After the head of a 101: `sink` gets the client's bytes from here on, those held before first. Each side then ends on its own. */
  tunnel(sink: DownstreamSink): void;
}

/** What a client's end tells the exchange. */
export interface DownstreamSink {
  /** The bytes are valid only during the call. */
  onRequestData(chunk: Buffer, start: number, end: number): void;
  onRequestEnd(trailers: HeaderList | null): void;
  onDownstreamDrain(): void;
  /** The client's end gives the request up; what the client is told is up to the sink. */
  fail(kind: FailureKind, detail: string, side: 'downstream', sent: 'body'): void;
  /** The client went away, or broke the protocol within the body. */
  onDownstreamReset(detail: string): void;
}

/** One request on a connection to an endpoint. All calls after the end of the response, or `reset`, are ignored. */
export interface UpstreamStream {
  /** It has carried another request before: a reset then may be the keep-alive race. */
  readonly reused: boolean;
  writeHead(head: RequestHead, body: BodyKind): void;
  /** False: wait for `onUpstreamDrain`. The bytes are taken all the same. */
  writeData(chunk: Buffer, start: number, end: number): boolean;
  end(trailers: HeaderList | null): void;
  /** Gives the request up; no sink method is called any more. */
  reset(): void;
  pauseResponse(): void;
  resumeResponse(): void;
  /**
   * Within `onResponseHead` of a 101: `sink` gets the endpoint's bytes from here on, and our side stays open until `end`.
   * `onUpstreamFailure` may then follow `onResponseEnd`.
   */
  tunnel(sink: UpstreamSink): void;
}

/** What an endpoint's connection tells the exchange. Exactly one of `onResponseEnd` and `onUpstreamFailure` comes last. */
export interface UpstreamSink {
  /** Asked for with `acquire`, which had none at once. */
  onUpstreamReady(stream: UpstreamStream): void;
  /** 1xx but 101. */
  onInterim(head: ResponseHead): void;
  onResponseHead(head: ResponseHead): void;
  /** The bytes are valid only during the call. */
  onResponseData(chunk: Buffer, start: number, end: number): void;
  onResponseEnd(trailers: HeaderList | null): void;
  onUpstreamDrain(): void;
  onUpstreamFailure(kind: FailureKind, sent: 'nothing' | 'head' | 'body', detail: string): void;
}
