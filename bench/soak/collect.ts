/**
 * Full collections in processes under test, by their inspector: V8 lets garbage lie while it has room, for hours at a low rate, so that
 * resident memory tells of leaks only right after one. Knows no mesh.
 */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

/** For `NODE_OPTIONS` of the processes; what they print then is what `Collectors` looks for. */
export const INSPECTED = '--inspect=127.0.0.1:0';

const PATIENCE_MS = 10_000;
const LISTENING = /Debugger listening on (ws:\/\/\S+)/g;

/** One connection to each process that is inspected. */
export class Collectors {
  readonly #sockets: WebSocket[] = [];

  /** @param logFolder with the standard error of all of them */
  async open(logFolder: string): Promise<void> {
    for (const file of readdirSync(logFolder)) {
      const text = readFileSync(path.join(logFolder, file), 'utf8');
      const url = [...text.matchAll(LISTENING)].at(-1)?.[1];
      if (url === undefined) continue;
      const socket = new WebSocket(url);
      this.#sockets.push(await ready(socket));
    }
    if (this.#sockets.length === 0) throw new Error(`no log in ${logFolder} names an inspector`);
  }

  /** Resolves when all have collected. A process that has ended is left out. */
  async collect(): Promise<void> {
    await Promise.all(this.#sockets.map((socket, id) => call(socket, id + 1, 'HeapProfiler.collectGarbage')));
  }

  close(): void {
    for (const socket of this.#sockets) socket.close();
  }
}

function ready(socket: WebSocket): Promise<WebSocket> {
  return new Promise((resolve, reject) => {
    socket.addEventListener('open', () => resolve(socket));
    socket.addEventListener('error', () => reject(new Error(`${socket.url} does not answer`)));
  });
}

function call(socket: WebSocket, id: number, method: string): Promise<void> {
  return new Promise((resolve) => {
    const heard = new AbortController();
    const done = (): void => {
      clearTimeout(timer);
      heard.abort();
      resolve();
    };
    const timer = setTimeout(done, PATIENCE_MS);
    socket.addEventListener('message', done, { signal: heard.signal });
    socket.addEventListener('close', done, { signal: heard.signal });
    socket.send(JSON.stringify({ id, method }));
  });
}
