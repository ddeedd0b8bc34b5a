/**
 * Asks whether somebody listens at an address, by a connection that is closed at once.
 * Knows neither who that is nor why it is asked.
 */
import { connect } from 'node:net';
import type { Clock } from '#base/clock.ts';

/** Without an answer for this long somebody is there, too busy to accept. */
const PROBE_MS = 1000;

/** False: the address refuses connections, or cannot be reached at all. */
export function isListening(address: string, port: number, clock: Clock): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: address, port });
    const answer = (listening: boolean): void => {
      timer.cancel();
      socket.destroy();
      resolve(listening);
    };
    const timer = clock.after(PROBE_MS, () => answer(true));
    socket.once('connect', () => answer(true));
    socket.on('error', () => answer(false));
  });
}
