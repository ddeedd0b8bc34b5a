/** Ports for programs that have to be told theirs before they start. */
import { createServer } from 'node:net';

/** Below where systems take source ports of connections from (Linux: 32768 and up): one that is free now is not taken by a connection meanwhile. */
const LOWEST = 20_000;
const HIGHEST = 32_000;

/** A port of loopback that nobody listens at. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = LOWEST + Math.floor(Math.random() * (HIGHEST - LOWEST));
    if (await isFree(port)) return port;
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}
