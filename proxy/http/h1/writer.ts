/**
 * The model to bytes, as latin1 text: nothing received is copied but names and values, and framing is made anew (RFC 9112).
 * The model holds only valid text, so nothing is checked again here. To be encoded as 'latin1', never as utf8.
 */
import type { HeaderList } from '../headers.ts';
import { BODY_UNTIL_CLOSE, CHUNKED_BODY, type BodyKind, type Version } from '../message.ts';

/** What Connection shall say beside what the fields ask for; '' nothing. */
export type ConnectionOption = '' | 'close' | 'keep-alive' | 'upgrade';

/** The part of a RequestHead that is written. */
export interface WritableRequest {
  readonly method: string;
  readonly path: string;
  readonly authority: string;
  readonly headers: HeaderList;
  readonly upgrade: string;
}

/** The part of a ResponseHead that is written; locally made answers may leave out the optional parts. */
export interface WritableResponse {
  readonly status: number;
  readonly reason?: string;
  readonly headers: HeaderList;
  readonly upgrade?: string;
  readonly declaredLength?: number;
}

const REASONS: Readonly<Record<number, string>> = {
  100: 'Continue',
  101: 'Switching Protocols',
  103: 'Early Hints',
  200: 'OK',
  201: 'Created',
  202: 'Accepted',
  204: 'No Content',
  206: 'Partial Content',
  301: 'Moved Permanently',
  302: 'Found',
  303: 'See Other',
  304: 'Not Modified',
  307: 'Temporary Redirect',
  308: 'Permanent Redirect',
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
  408: 'Request Timeout',
  409: 'Conflict',
  413: 'Content Too Large',
  414: 'URI Too Long',
  417: 'Expectation Failed',
  422: 'Unprocessable Content',
  426: 'Upgrade Required',
  429: 'Too Many Requests',
  431: 'Request Header Fields Too Large',
  500: 'Internal Server Error',
  501: 'Not Implemented',
  502: 'Bad Gateway',
  503: 'Service Unavailable',
  504: 'Gateway Timeout',
  505: 'HTTP Version Not Supported',
  508: 'Loop Detected',
};

/** How a body is framed towards a client of that version: HTTP/1.0 knows no chunks (RFC 9112 6.1), the end of the connection ends it there. */
export function bodyToward(version: Version, body: BodyKind): BodyKind {
  if (body.kind !== 'chunked' && body.kind !== 'until-close') return body;
  return version === 10 ? BODY_UNTIL_CLOSE : CHUNKED_BODY;
}

/** A body that ends with the connection cannot be sent in a request: give `chunked` then. */
export function writeRequestHead(head: WritableRequest, body: BodyKind, connection: ConnectionOption): string {
  let text = `${head.method} ${head.path} HTTP/1.1\r\nhost: ${head.authority}\r\n`;
  if (body.kind === 'length') text += `content-length: ${body.length}\r\n`;
  else if (body.kind !== 'none') text += 'transfer-encoding: chunked\r\n';
  else if (expectsBody(head.method)) text += 'content-length: 0\r\n';
  return text + fieldLines(head.headers, connection, head.upgrade);
}

/** `toHead`: the answer is to a HEAD request, so that it has no body whatever it says. */
export function writeResponseHead(
  head: WritableResponse,
  body: BodyKind,
  connection: ConnectionOption,
  toHead = false,
): string {
  const status = head.status;
  let text = `HTTP/1.1 ${status} ${head.reason || (REASONS[status] ?? '')}\r\n`;
  const length = lengthToTell(head, body, toHead);
  if (length >= 0) text += `content-length: ${length}\r\n`;
  else if (body.kind === 'chunked') text += 'transfer-encoding: chunked\r\n';
  return text + fieldLines(head.headers, connection, head.upgrade ?? '');
}

/** RFC 9110 8.6: an answer without a body says so by its status, else by a length of 0; HEAD and 304 tell what GET would have had. */
function lengthToTell(head: WritableResponse, body: BodyKind, toHead: boolean): number {
  if (head.status < 200 || head.status === 204) return -1;
  if (body.kind === 'length') return body.length;
  if (body.kind !== 'none') return -1;
  const declared = head.declaredLength ?? -1;
  return declared === -1 && head.status !== 304 && !toHead ? 0 : declared;
}

/** RFC 9110 8.6: methods whose absent body a server would otherwise ask for (411). */
function expectsBody(method: string): boolean {
  return method === 'POST' || method === 'PUT' || method === 'PATCH';
}

function fieldLines(headers: HeaderList, connection: ConnectionOption, upgrade: string): string {
  const fields = headers.fields;
  let text = '';
  // RFC 9110 10.1.4: who sends TE must name it in Connection.
  let option: string = connection;
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i]!;
    if (name === 'te') option = option === '' ? 'te' : `${option}, te`;
    text += `${name}: ${fields[i + 1]!}\r\n`;
  }
  if (option !== '') text += `connection: ${option}\r\n`;
  if (connection === 'upgrade') text += `upgrade: ${upgrade}\r\n`;
  return `${text}\r\n`;
}

/** What stands before `sizeBytes` bytes of a chunk; 0 is not a chunk but the end. */
export function chunkHead(sizeBytes: number): string {
  return `${sizeBytes.toString(16)}\r\n`;
}

/** What stands after the bytes of a chunk. */
export const CHUNK_TAIL = '\r\n';

/** The end of a chunked body without trailers. */
export const CHUNK_END = '0\r\n\r\n';

/** The end of a chunked body with trailers. */
export function writeTrailers(trailers: HeaderList): string {
  return `0\r\n${fieldLines(trailers, '', '')}`;
}
