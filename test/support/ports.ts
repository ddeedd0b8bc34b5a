/** Ports for programs that have to be told theirs before they start. */
import { createServer, type ListenOptions } from 'node:net';

/** Below where systems take source ports of connections from (Linux: 32768 and up): one that is free now is not taken by a connection meanwhile. */
const LOWEST = 20_000;
const HIGHEST = 32_000;

/** A port of loopback that nobody listens at, and that is nobody else's: test files run side by side and draw from the same ports. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = LOWEST + Math.floor(Math.random() * (HIGHEST - LOWEST));
    if ((await isOurs(port)) && (await listens({ port, host: '127.0.0.1' }, false))) return port;
  }
}

/** A name that only one process can have, for as long as it lives; elsewhere than on Linux chance has to do. */
function isOurs(port: number): Promise<boolean> {
  if (process.platform !== 'linux') return Promise.resolve(true);
  return listens({ path: `\0tulle-test-port-${port}` }, true);
}

function listens(where: ListenOptions, stays: boolean): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(where, () => {
      if (stays) resolve(true);
      else server.close(() => resolve(true));
    });
    server.unref();
  });
}
