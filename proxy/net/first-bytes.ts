/**
 * What a connection speaks, by its first bytes. Pure: knows no socket and no timer.
 */

/** `more`: the bytes so far fit several answers. */
export type FirstBytes = 'tls' | 'http1' | 'http2' | 'opaque' | 'more';

const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';
/** Longest method that is looked for before a request line is believed (RFC 9110 and WebDAV have none longer). */
const MAX_METHOD = 32;
const SPACE = 0x20;

/** A TLS record of a handshake begins 0x16 0x03 (RFC 8446 5.1). */
function looksLikeTls(bytes: Buffer): FirstBytes | null {
  if (bytes[0] !== 0x16) return null;
  if (bytes.length < 2) return 'more';
  return bytes[1] === 0x03 ? 'tls' : 'opaque';
}

function isMethodByte(byte: number): boolean {
  return (byte >= 0x41 && byte <= 0x5a) || byte === 0x2d || byte === 0x5f || (byte >= 0x61 && byte <= 0x7a);
}

/** A method, a space, and a target that begins as one can: enough to tell HTTP/1 from any binary or line protocol in use. */
function looksLikeHttp1(bytes: Buffer): FirstBytes {
  let i = 0;
  while (i < bytes.length && i < MAX_METHOD && isMethodByte(bytes[i] ?? 0)) i++;
  if (i === bytes.length) return i < MAX_METHOD ? 'more' : 'opaque';
  if (i === 0 || bytes[i] !== SPACE) return 'opaque';
  if (i + 1 >= bytes.length) return 'more';
  const lineEnd = bytes.indexOf(0x0a);
  if (lineEnd < 0) return bytes.length > 8192 ? 'opaque' : isTargetStart(bytes[i + 1] ?? 0) ? 'http1' : 'more';
  return bytes.latin1Slice(0, lineEnd).includes(' HTTP/') ? 'http1' : 'opaque';
}

/** `/path` or `*`: no command of a line protocol (SMTP, Redis inline, IMAP) continues so. Anything else waits for the whole line. */
function isTargetStart(byte: number): boolean {
  return byte === 0x2f || byte === 0x2a;
}

/** Looks at the first bytes of a connection. */
export function detect(bytes: Buffer): FirstBytes {
  if (bytes.length === 0) return 'more';
  const tls = looksLikeTls(bytes);
  if (tls !== null) return tls;
  const head = bytes.latin1Slice(0, Math.min(bytes.length, PREFACE.length));
  if (PREFACE.startsWith(head)) return head.length === PREFACE.length ? 'http2' : 'more';
  return looksLikeHttp1(bytes);
}
