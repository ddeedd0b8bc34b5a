/**
 * What a TLS client says in the clear before its handshake: the name it asks for and the protocols it offers (RFC 8446 4.1.2).
 * Pure: knows no socket, ends no TLS, and believes nothing it reads. The text is the client's; escape it where it is shown.
 */
import { ALPN } from '#api/names.ts';

export interface ClientHello {
  /** SNI (RFC 6066 section 3) in lower case; empty when there is none. */
  readonly serverName: string;
  /** ALPN (RFC 7301 3.1), in the client's order. */
  readonly alpn: readonly string[];
}

/** `more`: not whole yet. Null: no ClientHello, a broken one, or one that is longer than `MAX_HELLO_BYTES`. */
export type HelloRead = ClientHello | 'more' | null;

/** What every sidecar offers beside the protocol that it wants to speak; nobody else does. */
export const MESH_ALPN = ALPN.mesh;

/** Bytes on the wire. Hybrid key shares make 2 KiB of a hello; resumption and padding as much again. */
export const MAX_HELLO_BYTES = 16_384;

const HANDSHAKE_RECORD = 0x16;
const CLIENT_HELLO = 1;
const RECORD_HEADER_BYTES = 5;
const HANDSHAKE_HEADER_BYTES = 4;
/** RFC 8446 5.1: a record of plaintext holds no more. */
const MAX_RECORD_BYTES = 16_384;
const RANDOM_BYTES = 32;
const EXTENSION_SERVER_NAME = 0;
const EXTENSION_ALPN = 16;
const NAME_TYPE_HOST = 0;

/** Reads the ClientHello at the beginning of a connection. */
export function readClientHello(bytes: Buffer): HelloRead {
  const message = handshakeBytes(bytes);
  if (message === null) return null;
  const isTooLong = bytes.length >= MAX_HELLO_BYTES;
  if (message.length > 0 && message[0] !== CLIENT_HELLO) return null;
  if (message.length < HANDSHAKE_HEADER_BYTES) return isTooLong ? null : 'more';
  const end = HANDSHAKE_HEADER_BYTES + message.readUIntBE(1, 3);
  if (end > MAX_HELLO_BYTES) return null;
  if (message.length < end) return isTooLong ? null : 'more';
  return parseBody(new Cursor(message.subarray(HANDSHAKE_HEADER_BYTES, end)));
}

/** A sidecar of a mesh said this. Only says whose handshake it is to answer: whom we trust, certificates decide. */
export function isMeshHello(hello: ClientHello): boolean {
  return hello.alpn.includes(MESH_ALPN);
}

/** The payloads of the handshake records so far, one after the other; null when something else stands between. */
function handshakeBytes(bytes: Buffer): Buffer | null {
  const parts: Buffer[] = [];
  let had = 0;
  let wanted = 0;
  let at = 0;
  // What follows a whole hello is not ours to read: early data may stand there.
  while (at < bytes.length && (had < HANDSHAKE_HEADER_BYTES || had < wanted)) {
    if (bytes[at] !== HANDSHAKE_RECORD || (bytes[at + 1] ?? 3) !== 3) return null;
    if (at + RECORD_HEADER_BYTES > bytes.length) break;
    const length = bytes.readUInt16BE(at + 3);
    // Empty handshake records are forbidden (RFC 8446 5.1).
    if (length === 0 || length > MAX_RECORD_BYTES) return null;
    at += RECORD_HEADER_BYTES;
    const part = bytes.subarray(at, at + length);
    for (let i = 0; had + i < HANDSHAKE_HEADER_BYTES && i < part.length; i++) {
      // The first byte is the type, the other three are the length.
      if (had + i > 0) wanted = wanted * 256 + (part[i] ?? 0);
    }
    if (had < HANDSHAKE_HEADER_BYTES && had + part.length >= HANDSHAKE_HEADER_BYTES) wanted += HANDSHAKE_HEADER_BYTES;
    had += part.length;
    parts.push(part);
    at += length;
  }
  return parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts);
}

/** Reads forward; what goes beyond the end makes it broken, and every later read empty. */
class Cursor {
  readonly #bytes: Buffer;
  #at = 0;
  broken = false;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get atEnd(): boolean {
    return this.broken || this.#at >= this.#bytes.length;
  }

  number(sizeBytes: 1 | 2): number {
    return this.take(sizeBytes).reduce((value, byte) => value * 256 + byte, 0);
  }

  take(sizeBytes: number): Buffer {
    const end = this.#at + sizeBytes;
    if (end > this.#bytes.length) this.broken = true;
    if (this.broken) return Buffer.alloc(0);
    const taken = this.#bytes.subarray(this.#at, end);
    this.#at = end;
    return taken;
  }

  /** A vector with its length before it. */
  vector(lengthBytes: 1 | 2): Cursor {
    const inner = new Cursor(this.take(this.number(lengthBytes)));
    inner.broken = this.broken;
    return inner;
  }

  rest(): Buffer {
    return this.take(this.#bytes.length - this.#at);
  }
}

function parseBody(body: Cursor): ClientHello | null {
  body.take(2);
  body.take(RANDOM_BYTES);
  body.vector(1);
  body.vector(2);
  body.vector(1);
  let serverName = '';
  let alpn: readonly string[] = [];
  // Before TLS 1.2 there may be no extensions at all.
  const extensions = body.atEnd ? new Cursor(Buffer.alloc(0)) : body.vector(2);
  if (body.broken || !body.atEnd) return null;
  while (!extensions.atEnd) {
    const type = extensions.number(2);
    const data = extensions.vector(2);
    if (type === EXTENSION_SERVER_NAME) serverName = hostName(data);
    else if (type === EXTENSION_ALPN) alpn = protocolNames(data);
    if (data.broken) return null;
  }
  return extensions.broken ? null : { serverName, alpn };
}

function hostName(data: Cursor): string {
  const names = data.vector(2);
  let host = '';
  while (!names.atEnd) {
    const type = names.number(1);
    const name = names.vector(2).rest();
    if (type === NAME_TYPE_HOST && host === '') host = name.toString('latin1').toLowerCase();
  }
  data.broken ||= names.broken;
  return host;
}

function protocolNames(data: Cursor): readonly string[] {
  const list = data.vector(2);
  const names: string[] = [];
  while (!list.atEnd) names.push(list.vector(1).rest().toString('latin1'));
  data.broken ||= list.broken;
  return names;
}
