/**
 * The two fields of a WebSocket handshake that only HTTP/1.1 has (RFC 6455 4.1, 4.2.2): RFC 8441 leaves them out, so whoever stands
 * between the versions makes them. Knows no frame of WebSocket and no connection.
 */
import { createHash, randomBytes } from 'node:crypto';

export const WEBSOCKET = 'websocket';
export const KEY_FIELD = 'sec-websocket-key';
export const ACCEPT_FIELD = 'sec-websocket-accept';

/** RFC 6455 1.3. */
const SUFFIX = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';

/** 16 random bytes, base64. */
export function websocketKey(): string {
  return randomBytes(16).toString('base64');
}

/** The answer that proves that a server has read the key. */
export function websocketAccept(key: string): string {
  return createHash('sha1')
    .update(key + SUFFIX)
    .digest('base64');
}
