/**
 * An answer's header section, and trailers of both directions, to the model and back (RFC 9113 8.1, 8.3.2).
 * Knows the method that was asked with only as far as it decides whether a body can come.
 */
import { parseDecimal } from '../grammar.ts';
import { HeaderList, isForbiddenTrailer } from '../headers.ts';
import {
  type BodyKind,
  bodyOfLength,
  CHUNKED_BODY,
  hasNoContent,
  NO_BODY,
  type ParseFailure,
  ResponseHead,
} from '../message.ts';
import { isValue, RULE, ruleOf } from './field-rules.ts';

function refused(detail: string): ParseFailure {
  return { kind: 'upstream-protocol-error', detail };
}

/** Three digits from 100 to 999; 0: none. */
function statusOf(fields: readonly string[]): number {
  if (fields[0] !== ':status' || fields[1]!.length !== 3) return 0;
  const status = parseDecimal(fields[1]!);
  return status >= 100 ? status : 0;
}

/** @param method of the request: an answer to HEAD, and a 2xx to CONNECT, are framed in their own ways */
export function readResponse(
  fields: readonly string[],
  endStream: boolean,
  method: string,
): ResponseHead | ParseFailure {
  const status = statusOf(fields);
  if (status === 0) return refused(':status is missing, not first, or not three digits');
  // RFC 9113 8.6
  if (status === 101) return refused('101 does not exist in HTTP/2');
  if (status < 200 && endStream) return refused('an interim answer ends the stream');
  const kept: string[] = [];
  let length = -1;
  for (let i = 2; i < fields.length; i += 2) {
    const value = fields[i + 1]!;
    const rule = ruleOf(fields[i]!);
    if (rule === RULE.malformed)
      return refused('a field name is not a lower-case token, or a second pseudo-header field');
    if (rule === RULE.forbidden) return refused('a field that belongs to one HTTP/1.1 connection');
    if (!isValue(value)) return refused('a field value holds a control character or begins or ends with a blank');
    if (rule === RULE.te) continue;
    if (rule !== RULE.contentLength) {
      kept.push(fields[i]!, value);
      continue;
    }
    if (length !== -1) return refused('more than one content-length');
    length = parseDecimal(value);
    if (length === -1) return refused('content-length is not a number');
  }
  const isBare = hasNoContent(status) || method === 'HEAD';
  const isTunnel = method === 'CONNECT' && status < 300;
  if (endStream && length > 0 && !isBare) return refused('content-length promises a body, and the stream ends');
  const body = isBare ? NO_BODY : isTunnel ? (endStream ? NO_BODY : CHUNKED_BODY) : bodyOf(length, endStream);
  const declared = status >= 200 && status !== 204 && body.kind === 'none' ? length : -1;
  return new ResponseHead(20, status, '', new HeaderList(kept), body, true, 0, '', declared);
}

function bodyOf(length: number, endStream: boolean): BodyKind {
  if (length !== -1) return bodyOfLength(length);
  return endStream ? NO_BODY : CHUNKED_BODY;
}

/** @param toHead the answer is to a HEAD request: it may tell the length that GET would have had */
export function responseFields(head: ResponseHead, body: BodyKind): string[] {
  // RFC 8441 4: there is no 101 here, and 200 accepts the protocol.
  const fields = [':status', head.status === 101 ? '200' : String(head.status)];
  if (head.status >= 200 && head.status !== 204) {
    const length = body.kind === 'length' ? body.length : body.kind === 'none' ? head.declaredLength : -1;
    if (length >= 0) fields.push('content-length', String(length));
  }
  const own = head.headers.fields;
  for (let i = 0; i < own.length; i++) fields.push(own[i]!);
  return fields;
}

/** A trailer section; what may not come so late is left out. A text: why it is malformed. */
export function readTrailers(fields: readonly string[]): HeaderList | string {
  const kept: string[] = [];
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i]!;
    const rule = ruleOf(name);
    if (rule === RULE.malformed) return 'a name in the trailers is not a lower-case token, or a pseudo-header field';
    if (rule === RULE.forbidden) return 'a field that belongs to one HTTP/1.1 connection';
    if (!isValue(fields[i + 1]!))
      return 'a value in the trailers holds a control character or begins or ends with a blank';
    if (!isForbiddenTrailer(name)) kept.push(name, fields[i + 1]!);
  }
  return new HeaderList(kept);
}
