/**
 * Request line and status line (RFC 9112 3, 4), and the four forms of a request target.
 * Read from bytes that hold no control character but HTAB; knows nothing of fields, so Host is compared elsewhere.
 */
import { normalizeAuthority, SP, TARGET, TOKEN_LOWER } from '../grammar.ts';
import { latin1 } from '../latin1.ts';
import type { ParseFailure, Version } from '../message.ts';
import type { StartLine } from './head-scanner.ts';

/** Methods as shared strings, the frequent first: no text is made, and comparing them later is comparing pointers. */
const METHODS = ['GET', 'POST', 'PUT', 'HEAD', 'DELETE', 'PATCH', 'OPTIONS', 'CONNECT', 'TRACE'];

/** `HTTP/1.1`, always 8 bytes (RFC 9112 2.3). */
const VERSION_BYTES = 8;
/** Room for the method beside the target. */
const MAX_METHOD_BYTES = 256;
const MAX_STATUS_LINE_BYTES = 8192;

const NOT_A_VERSION = -1;

function digitAt(bytes: Buffer, at: number): number {
  const digit = bytes[at]! - 0x30;
  return digit >= 0 && digit <= 9 ? digit : NOT_A_VERSION;
}

/** major * 10 + minor of the `HTTP/x.y` at `at`, or NOT_A_VERSION. The name is case-sensitive. */
function readVersion(bytes: Buffer, at: number): number {
  const named =
    bytes[at] === 0x48 &&
    bytes[at + 1] === 0x54 &&
    bytes[at + 2] === 0x54 &&
    bytes[at + 3] === 0x50 &&
    bytes[at + 4] === 0x2f;
  const major = digitAt(bytes, at + 5);
  const minor = digitAt(bytes, at + 7);
  if (!named || bytes[at + 6] !== 0x2e || major === NOT_A_VERSION || minor === NOT_A_VERSION) return NOT_A_VERSION;
  return major * 10 + minor;
}

function readMethod(bytes: Buffer, start: number, end: number): string {
  const length = end - start;
  for (const method of METHODS) {
    if (method.length !== length || method.charCodeAt(0) !== bytes[start]) continue;
    let i = 1;
    while (i < length && method.charCodeAt(i) === bytes[start + i]) i++;
    if (i === length) return method;
  }
  return latin1(bytes, start, end);
}

function badRequest(detail: string): ParseFailure {
  return { kind: 'bad-request', detail };
}

export class RequestLine implements StartLine {
  readonly maxBytes: number;
  method = '';
  version: Version = 11;
  /** The target in the form that the model wants; '' while it is just that part of the line (see `pathIn`). */
  path = '';
  /** From an absolute or authority target, normalised; null: the target names none. */
  authority: string | null = null;
  scheme: 'http' | 'https' = 'http';
  absoluteForm = false;

  readonly #maxTargetBytes: number;
  #pathStart = 0;
  #pathEnd = 0;

  constructor(maxTargetBytes: number) {
    this.#maxTargetBytes = maxTargetBytes;
    this.maxBytes = maxTargetBytes + MAX_METHOD_BYTES;
  }

  read(bytes: Buffer, start: number, end: number): ParseFailure | null {
    let at = start;
    while (at < end && TOKEN_LOWER[bytes[at]!] !== 0) at++;
    if (at === start || bytes[at] !== SP || at === end) return badRequest('not a method followed by one space');
    const targetEnd = end - VERSION_BYTES - 1;
    if (targetEnd <= at + 1 || bytes[targetEnd] !== SP)
      return badRequest('the request line does not end in an HTTP version');
    const version = readVersion(bytes, targetEnd + 1);
    if (version === NOT_A_VERSION) return badRequest('the request line does not end in an HTTP version');
    if (version < 10 || version > 19)
      return { kind: 'unsupported-version', detail: 'only HTTP/1.0 and HTTP/1.1 are spoken here' };
    this.version = version === 10 ? 10 : 11;
    this.method = readMethod(bytes, start, at);
    this.#pathStart = at + 1 - start;
    this.#pathEnd = targetEnd - start;
    return this.#readTarget(bytes, at + 1, targetEnd);
  }

  /** The path, out of the text of the whole head: an origin form needs no text of its own. */
  pathIn(text: string): string {
    return this.path === '' ? text.substring(this.#pathStart, this.#pathEnd) : this.path;
  }

  #readTarget(bytes: Buffer, start: number, end: number): ParseFailure | null {
    if (end - start > this.#maxTargetBytes) return { kind: 'uri-too-long', detail: 'the request target is too long' };
    for (let at = start; at < end; at++) {
      if (TARGET[bytes[at]!] === 0) return badRequest('character that may not stand in a request target');
    }
    this.path = '';
    this.authority = null;
    this.scheme = 'http';
    this.absoluteForm = false;
    if (bytes[start] === 0x2f && this.method !== 'CONNECT') return null;
    this.path = latin1(bytes, start, end);
    if (this.method === 'CONNECT') return this.#readAuthorityForm();
    if (this.path === '*') return this.method === 'OPTIONS' ? null : badRequest('* is a target for OPTIONS only');
    return this.#readAbsoluteForm();
  }

  /** RFC 9112 3.2.3: host and port, both required. */
  #readAuthorityForm(): ParseFailure | null {
    const authority = normalizeAuthority(this.path);
    if (authority === null || authority.lastIndexOf(':') <= authority.lastIndexOf(']'))
      return badRequest('the target of CONNECT is not host:port');
    this.path = authority;
    this.authority = authority;
    return null;
  }

  /** RFC 9112 3.2.2; http and https only. */
  #readAbsoluteForm(): ParseFailure | null {
    const target = this.path;
    const schemeEnd = target.indexOf('://');
    const scheme = target.slice(0, Math.max(0, schemeEnd)).toLowerCase();
    if (scheme !== 'http' && scheme !== 'https') return badRequest('the request target has none of the four forms');
    let authorityEnd = schemeEnd + 3;
    while (authorityEnd < target.length && target[authorityEnd] !== '/' && target[authorityEnd] !== '?') authorityEnd++;
    const authority = normalizeAuthority(target.slice(schemeEnd + 3, authorityEnd));
    if (authority === null) return badRequest('the request target has no valid authority');
    this.scheme = scheme;
    this.authority = authority;
    this.absoluteForm = true;
    const rest = target.slice(authorityEnd);
    if (rest.startsWith('/')) this.path = rest;
    // RFC 9112 3.2.4: OPTIONS for an absolute target without path asks about the server as a whole.
    else this.path = rest === '' && this.method === 'OPTIONS' ? '*' : `/${rest}`;
    return null;
  }
}

export class StatusLine implements StartLine {
  readonly maxBytes = MAX_STATUS_LINE_BYTES;
  version: Version = 11;
  status = 0;
  reason = '';

  read(bytes: Buffer, start: number, end: number): ParseFailure | null {
    const version = end - start < VERSION_BYTES + 4 ? NOT_A_VERSION : readVersion(bytes, start);
    if (version < 10 || version > 19 || bytes[start + VERSION_BYTES] !== SP)
      return badRequest('not an HTTP/1 status line');
    this.version = version === 10 ? 10 : 11;
    const digits = start + VERSION_BYTES + 1;
    const hundreds = digitAt(bytes, digits);
    const tens = digitAt(bytes, digits + 1);
    const ones = digitAt(bytes, digits + 2);
    if (hundreds < 1 || tens < 0 || ones < 0) return badRequest('the status is not a number from 100 to 999');
    // The space before an empty reason is often left out; nothing else can be meant.
    if (end > digits + 3 && bytes[digits + 3] !== SP) return badRequest('the status is not a number from 100 to 999');
    this.status = hundreds * 100 + tens * 10 + ones;
    this.reason = end > digits + 4 ? latin1(bytes, digits + 4, end) : '';
    return null;
  }
}
