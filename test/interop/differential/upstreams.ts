/**
 * Upstreams that do as a request's plan says, and write down what reached them. One plan has one memory for each contender,
 * so that both see the same. Knows no proxy.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Act, Ask } from './world.ts';

/** Names the request and the contender: `<id>/<contender>`. */
export const CASE_HEADER = 'x-case';

/** One try, as it came in. */
export interface Reached {
  readonly backend: string;
  readonly method: string;
  readonly url: string;
  readonly host: string;
  /** Names in lower case, sorted; values of one name in the order they came. */
  readonly headers: readonly string[];
  readonly body: string;
}

export class Upstreams {
  readonly #servers: Server[] = [];
  readonly #asks = new Map<string, Ask>();
  readonly #reached = new Map<string, Reached[]>();

  /** Opens one endpoint of a backend; its port. */
  async open(backend: string): Promise<number> {
    const server = createServer((request, response) => this.#answer(backend, request, response));
    server.keepAliveTimeout = 60_000;
    this.#servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return (server.address() as AddressInfo).port;
  }

  plan(asks: readonly Ask[]): void {
    for (const ask of asks) this.#asks.set(ask.id, ask);
  }

  /** What of a request reached any backend, in order. */
  reachedBy(id: string, contender: string): readonly Reached[] {
    return this.#reached.get(`${id}/${contender}`) ?? [];
  }

  close(): void {
    for (const server of this.#servers) {
      server.closeAllConnections();
      server.close();
    }
  }

  #answer(backend: string, request: IncomingMessage, response: ServerResponse): void {
    const key = String(request.headers[CASE_HEADER] ?? '');
    const ask = this.#asks.get(key.slice(0, key.indexOf('/')));
    if (ask === undefined) {
      response.writeHead(500).end(`no plan for ${key}`);
      return;
    }
    const before = this.#reached.get(key);
    const tries = before ?? [];
    if (before === undefined) this.#reached.set(key, tries);
    const index = tries.length;
    const { host, headers } = readHeaders(request.rawHeaders);
    const entry = { backend, method: request.method ?? '', url: request.url ?? '', host, headers, body: '' };
    tries.push(entry);
    request.setEncoding('latin1');
    request.on('data', (text: string) => (entry.body += text));
    request.on('error', () => undefined);
    request.on('end', () => perform(ask.acts[Math.min(index, ask.acts.length - 1)]!, response, backend));
  }
}

function perform(act: Act, response: ServerResponse, backend: string): void {
  if (act.kind === 'reset') response.socket?.destroy();
  if (act.kind !== 'answer') return;
  response.writeHead(act.status, { ...act.headers, 'x-backend': backend });
  response.end(act.status === 204 || act.status === 304 ? undefined : `from ${backend}`);
}

function readHeaders(raw: readonly string[]): { host: string; headers: string[] } {
  const pairs = Array.from({ length: raw.length / 2 }, (_, i) => [raw[2 * i]!.toLowerCase(), raw[2 * i + 1]!] as const);
  const host = pairs.find(([name]) => name === 'host')?.[1] ?? '';
  const others = pairs.filter(([name]) => name !== 'host' && name !== CASE_HEADER);
  return { host, headers: others.toSorted(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)).map((pair) => pair.join(': ')) };
}
