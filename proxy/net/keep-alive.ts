/**
 * TCP keep-alive: a peer that went away without a word (a dead host, a lost route) is found although nobody has anything to say.
 * Knows no protocol. Bytes that are on their way are the kernel's business: it gives up on them by itself (Linux: `tcp_retries2`).
 * TCP_USER_TIMEOUT would be sooner, and would cut off whoever reads slowly on purpose: it counts a closed window like a dead host.
 */
import type { Socket } from 'node:net';

/** Questions without an answer until the connection is ended. */
const PROBES = 3;
/** The time between them, as a share of the silence before the first. */
const INTERVAL_SHARE = 6;
/** TCP counts these in seconds. */
const SECOND_MS = 1000;

/**
 * Asks after `silenceMs` of silence, then a few times more: a dead peer is found after one and a half times as long. 0: never.
 * The socket has to be connected.
 */
export function keepAlive(socket: Socket, silenceMs: number): void {
  if (silenceMs === 0 || socket.destroyed) return;
  socket.setKeepAlive(true, Math.max(SECOND_MS, silenceMs), Math.max(SECOND_MS, silenceMs / INTERVAL_SHARE), PROBES);
}
