/**
 * The model of a message: what a codec reads from the wire and writes to it, the same for every HTTP version.
 * Holds no byte of framing as received; knows no connection and no route.
 */
import type { HeaderList } from './headers.ts';

export type BodyKind =
  | { readonly kind: 'none' }
  | { readonly kind: 'length'; readonly length: number }
  | { readonly kind: 'chunked' }
  | { readonly kind: 'until-close' };

/** Shared, so that a message without a body of its own length allocates nothing. */
export const NO_BODY: BodyKind = { kind: 'none' };
export const EMPTY_BODY: BodyKind = { kind: 'length', length: 0 };
export const CHUNKED_BODY: BodyKind = { kind: 'chunked' };
export const BODY_UNTIL_CLOSE: BodyKind = { kind: 'until-close' };

export function bodyOfLength(length: number): BodyKind {
  return length === 0 ? EMPTY_BODY : { kind: 'length', length };
}

/** Statuses whose answers have no content, whatever is said of one (RFC 9110 15.3.5, 15.4.5), interim ones among them. */
export function hasNoContent(status: number): boolean {
  return status < 200 || status === 204 || status === 304;
}

/** Major * 10 + minor. */
export type Version = 10 | 11 | 20;

/** Why a message is refused; a subset of the failures of an exchange. `detail` never holds text from the wire. */
export interface ParseFailure {
  readonly kind:
    | 'bad-request'
    | 'uri-too-long'
    | 'headers-too-large'
    | 'unsupported-encoding'
    | 'unsupported-version'
    | 'unsupported-expectation'
    | 'connect-not-supported'
    | 'upstream-protocol-error'
    | 'response-headers-too-large';
  readonly detail: string;
}

/** Bounds of a head, and of a trailer section. */
export interface HeadLimits {
  /** Start line, fields and the empty line together. */
  readonly maxHeadBytes: number;
  readonly maxFields: number;
  readonly maxTargetBytes: number;
}

export const DEFAULT_LIMITS: HeadLimits = { maxHeadBytes: 65_536, maxFields: 100, maxTargetBytes: 32_768 };

/** All fields are set by the constructor, so that every head has one shape. Filters may change them. */
export class RequestHead {
  method: string;
  /** Origin form with query, as received; `*` for `OPTIONS *`; the authority for CONNECT. */
  path: string;
  /** From an absolute target, else `http`: the listener that knows of TLS corrects it. */
  scheme: 'http' | 'https';
  /** `host[:port]` in lower case, default port kept as given; '' only for HTTP/1.0 without Host. */
  authority: string;
  version: Version;
  /** Without host, content-length, transfer-encoding and hop-by-hop fields; `expect` stays, it is end-to-end (RFC 9110 10.1.1). */
  headers: HeaderList;
  body: BodyKind;
  keepAlive: boolean;
  expectContinue: boolean;
  /** Protocols asked for, `h2c` left out; '' unless both `Connection: upgrade` and Upgrade are there. One, on a GET, once `upgrade.ts` settled it. */
  upgrade: string;
  absoluteForm: boolean;

  constructor(
    method: string,
    path: string,
    scheme: 'http' | 'https',
    authority: string,
    version: Version,
    headers: HeaderList,
    body: BodyKind,
    keepAlive: boolean,
    expectContinue: boolean,
    upgrade: string,
    absoluteForm: boolean,
  ) {
    this.method = method;
    this.path = path;
    this.scheme = scheme;
    this.authority = authority;
    this.version = version;
    this.headers = headers;
    this.body = body;
    this.keepAlive = keepAlive;
    this.expectContinue = expectContinue;
    this.upgrade = upgrade;
    this.absoluteForm = absoluteForm;
  }
}

export class ResponseHead {
  version: Version;
  status: number;
  /** As received, possibly ''. */
  reason: string;
  /** Stripped as in RequestHead. */
  headers: HeaderList;
  body: BodyKind;
  /** The connection can carry another request after this message. */
  keepAlive: boolean;
  /** From `Keep-Alive: timeout=`; 0 when absent. */
  keepAliveTimeoutMs: number;
  /** The protocol switched to, on a 101, which an HTTP/2 stream accepts by 2xx; else ''. */
  upgrade: string;
  /** Content-Length of an answer without body (HEAD, 304; RFC 9110 8.6), to be passed on; -1 when absent. */
  declaredLength: number;

  constructor(
    version: Version,
    status: number,
    reason: string,
    headers: HeaderList,
    body: BodyKind,
    keepAlive: boolean,
    keepAliveTimeoutMs: number,
    upgrade: string,
    declaredLength: number,
  ) {
    this.version = version;
    this.status = status;
    this.reason = reason;
    this.headers = headers;
    this.body = body;
    this.keepAlive = keepAlive;
    this.keepAliveTimeoutMs = keepAliveTimeoutMs;
    this.upgrade = upgrade;
    this.declaredLength = declaredLength;
  }
}
