/**
 * Requests of HTTP/2 of which nothing may reach an application of HTTP/1.1 (reliability 1.2, 2l to 2q): frames of stream 1. Data only.
 */
import { data, END_HEADERS, END_STREAM, headers } from '../../support/h2-dialogue.ts';

const METHOD = [':method', 'POST'];
const SCHEME = [':scheme', 'http'];
const PATH = [':path', '/'];
const AUTHORITY = [':authority', 'web'];
const WHOLE = [...METHOD, ...SCHEME, ...PATH, ...AUTHORITY];

const ended = (fields: readonly string[]): string => headers(1, fields);
/** With a body that would be the next request, were the one before believed. */
const smuggling = (fields: readonly string[]): string =>
  headers(1, fields, END_HEADERS) + data(1, '0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: web\r\n\r\n', END_STREAM);

/** `what` in the place of a pseudo-header's value. */
function instead(name: string, what: string): string[] {
  return WHOLE.map((text, i) => (WHOLE[i - 1] === name && i % 2 === 1 ? what : text));
}

function each(names: readonly string[], make: (name: string) => string[]): [string, string][] {
  return names.map((name) => [JSON.stringify(name), smuggling(make(name))]);
}

export const REFUSED: Readonly<Record<string, readonly (readonly [what: string, frames: string])[]>> = {
  '2l: pseudo-headers': [
    ['no method', ended([...SCHEME, ...PATH, ...AUTHORITY])],
    ['no scheme', ended([...METHOD, ...PATH, ...AUTHORITY])],
    ['no path', ended([...METHOD, ...SCHEME, ...AUTHORITY])],
    ['an empty path', ended([...METHOD, ...SCHEME, ':path', '', ...AUTHORITY])],
    ['nothing', ended(['x', 'y'])],
    ...[METHOD, SCHEME, PATH, AUTHORITY].map((twice): [string, string] => [
      `${twice[0]} twice`,
      ended([...WHOLE, ...twice]),
    ]),
    ['behind a field', ended([...METHOD, ...SCHEME, 'x', 'y', ...PATH, ...AUTHORITY])],
    ['unknown', ended([...WHOLE, ':x', 'y'])],
    ['of an answer', ended([...WHOLE, ':status', '200'])],
    ['of an extension', ended([...WHOLE, ':protocol', 'websocket'])],
    ['no authority and no host', ended([...METHOD, ...SCHEME, ...PATH])],
    ['another host', ended([...WHOLE, 'host', 'other'])],
    ['an upper-case name', ended([...METHOD, ...SCHEME, ':Path', '/', ...AUTHORITY])],
  ],
  '2m: fields of the connection': [
    ...['connection', 'keep-alive', 'proxy-connection', 'transfer-encoding', 'upgrade'].map(
      (name): [string, string] => [name, smuggling([...WHOLE, name, name === 'transfer-encoding' ? 'chunked' : 'x'])],
    ),
    ['te: gzip', smuggling([...WHOLE, 'te', 'gzip'])],
    ['te: trailers, gzip', smuggling([...WHOLE, 'te', 'trailers, gzip'])],
  ],
  '2n: line ends and controls in a value': each(
    ['a\r\nTransfer-Encoding: chunked', 'a\nb', 'a\rb', 'a\0b', 'a\x01b', 'a\x7fb'],
    (value) => [...WHOLE, 'x', value],
  ),
  '2n: line ends and more in a name': each(
    ['x: y\r\nTransfer-Encoding', 'x\n', 'x\r', 'x\0', 'x:y', 'x y', 'X', '', '\xe9', 'x"'],
    (name) => [...WHOLE, name, 'chunked'],
  ),
  '2n: line ends and more in a pseudo-header': [
    ...each(
      ['/ HTTP/1.1\r\nTransfer-Encoding: chunked\r\nX: y', '/\n', '/\0', '/ x', '/a#b', '/\t', '/\xe9', '*'],
      (path) => instead(':path', path),
    ),
    ...each(['GET / HTTP/1.1\r\nHost: web\r\n\r\nPOST', 'GE T', 'G(T', '', 'POST\n'], (method) =>
      instead(':method', method),
    ),
    ...each(['http\r\nX: y', 'http://web/?', 'ht tp', ''], (scheme) => instead(':scheme', scheme)),
    ...each(['web\r\nX: y', 'u:p@web', 'web/x', 'web#b', 'a, b', 'web:99999', ''], (authority) =>
      instead(':authority', authority),
    ),
  ],
  '2n 2o: lengths that are none, or several': [
    ...each(['+5', '-1', '0x10', '5, 5', '', '9007199254740992'], (length) => [...WHOLE, 'content-length', length]),
    ['twice', smuggling([...WHOLE, 'content-length', '0', 'content-length', '48'])],
  ],
  '2o: a length and no content': [['', ended([...WHOLE, 'content-length', '10'])]],
  '2p: a path without a slash': each(['admin.Admin/Delete', 'x', '?x', 'http://web/'], (path) =>
    instead(':path', path),
  ),
};

/** Whose head may have gone on before the lie was seen: the application never gets their end. */
export const CUT_SHORT: Readonly<Record<string, string>> = {
  'less than the length': headers(1, [...WHOLE, 'content-length', '10'], END_HEADERS) + data(1, 'hello', END_STREAM),
  'more than the length':
    headers(1, [...WHOLE, 'content-length', '2'], END_HEADERS) +
    data(1, 'xxGET /smuggled HTTP/1.1\r\n\r\n', END_STREAM),
  'a length of nothing, and content': smuggling([...WHOLE, 'content-length', '0']),
  'pseudo-headers in trailers': headers(1, WHOLE, END_HEADERS) + data(1, 'x') + headers(1, [':path', '/admin']),
  'a line end in trailers': headers(1, WHOLE, END_HEADERS) + data(1, 'x') + headers(1, ['x', 'y\r\nz: 1']),
};
