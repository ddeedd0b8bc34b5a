/**
 * Waits for the first bytes of a connection, says what they are, and puts them back.
 * Knows no listener and no protocol beyond its first bytes.
 */
import type { Socket } from 'node:net';
import type { Clock } from '#base/clock.ts';
import { detect, type FirstBytes } from '../net/first-bytes.ts';

/** `silent`: nothing decisive came in time; `closed` is never told, the caller hears of it from the socket. */
export type Sniffed = Exclude<FirstBytes, 'more'> | 'silent';

/**
 * Calls `then` once, with the socket paused and its bytes unread; or, when the client ended its side with bytes that decide nothing,
 * with those bytes as `early`: behind the end nothing can be put back.
 */
export function sniff(
  socket: Socket,
  clock: Clock,
  timeoutMs: number,
  then: (what: Sniffed, early: Buffer | null) => void,
): void {
  let bytes: Buffer | null = null;
  const settle = (what: Sniffed): void => {
    timer.cancel();
    socket.off('data', onData);
    socket.off('end', onEnd);
    socket.off('close', onClose);
    socket.pause();
    if (bytes !== null && !socket.readableEnded) socket.unshift(bytes);
    then(what, socket.readableEnded ? bytes : null);
  };
  const onData = (chunk: Buffer): void => {
    bytes = bytes === null ? chunk : Buffer.concat([bytes, chunk]);
    const what = detect(bytes);
    if (what !== 'more') settle(what);
  };
  const onEnd = (): void => settle(bytes === null ? 'silent' : 'opaque');
  const onClose = (): void => {
    timer.cancel();
  };
  const timer = clock.after(timeoutMs, () => settle(bytes === null ? 'silent' : 'opaque'));
  socket.on('data', onData);
  socket.once('end', onEnd);
  socket.once('close', onClose);
}
