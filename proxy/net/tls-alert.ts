/**
 * Refuses a TLS handshake in words that every client understands, without a handshake of our own.
 * Knows no route and no certificate.
 */
import type { Socket } from 'node:net';
import type { Clock } from '#base/clock.ts';
import { resetSocket } from './reset.ts';

/** A record of one fatal alert, `unrecognized_name` (RFC 8446 6.2, RFC 6066 section 3), in the record version of every first answer. */
const UNRECOGNIZED_NAME = Buffer.from([0x15, 3, 3, 0, 2, 2, 112]);
/** Time for the client to read it and to close. */
const LINGER_MS = 1000;

/** Tells the client that nobody here has the name it asks for, and ends the connection. */
export function refuseServerName(socket: Socket, clock: Clock): void {
  if (socket.destroyed) return;
  const timer = clock.after(LINGER_MS, () => resetSocket(socket));
  socket.once('close', () => timer.cancel());
  socket.end(UNRECOGNIZED_NAME);
  // Closed with bytes unread, the kernel would send a reset, which can overtake the alert.
  socket.resume();
}
