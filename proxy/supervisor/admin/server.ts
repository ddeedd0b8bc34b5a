/**
 * A small HTTP server for people, probes and scrapers: a table of pages, nothing else. Off the data path.
 * Knows no page. A GET never changes anything.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { HostPort } from '../../worker/messages.ts';

export interface Answer {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
}

export interface Page {
  readonly method: 'GET' | 'POST';
  readonly help: string;
  readonly answer: (query: URLSearchParams) => Answer | Promise<Answer>;
}

export type Pages = ReadonlyMap<string, Page>;

/** More than any set of probes and people needs. */
const MAX_CONNECTIONS = 100;
const REQUEST_TIMEOUT_MS = 10_000;

export function textAnswer(status: number, body: string): Answer {
  return { status, contentType: 'text/plain; charset=utf-8', body: `${body}\n` };
}

/** Maps become objects. */
export function jsonAnswer(value: unknown): Answer {
  const body = JSON.stringify(value, (_, v: unknown) => (v instanceof Map ? Object.fromEntries(v) : v), 2);
  return { status: 200, contentType: 'application/json', body: `${body}\n` };
}

export class AdminServer {
  readonly #server: Server;
  readonly #pages: Pages;

  constructor(pages: Pages) {
    this.#pages = pages;
    this.#server = createServer(
      { requestTimeout: REQUEST_TIMEOUT_MS, headersTimeout: REQUEST_TIMEOUT_MS },
      (request, response) => void this.#handle(request, response),
    );
    this.#server.maxConnections = MAX_CONNECTIONS;
  }

  /** The port listened on; rejects when that is impossible. */
  open({ address, port }: HostPort): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(port, address, () => {
        const bound = this.#server.address();
        resolve(typeof bound === 'object' && bound !== null ? bound.port : port);
      });
    });
  }

  close(): Promise<void> {
    return new Promise((resolve) => {
      this.#server.close(() => resolve());
      this.#server.closeAllConnections();
    });
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { status, contentType, body, headers } = await this.#answer(request);
    response.writeHead(status, {
      'content-type': contentType,
      'content-length': Buffer.byteLength(body),
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
      ...headers,
    });
    response.end(request.method === 'HEAD' ? undefined : body);
  }

  async #answer(request: IncomingMessage): Promise<Answer & { readonly headers?: Readonly<Record<string, string>> }> {
    const [path = '/', ...query] = (request.url ?? '/').split('?');
    const page = this.#pages.get(path);
    if (page === undefined) return textAnswer(404, `there is no ${JSON.stringify(path)}; there is:\n${this.#index()}`);
    const method = request.method === 'HEAD' ? 'GET' : request.method;
    if (method !== page.method) {
      return {
        ...textAnswer(405, `use ${page.method}`),
        headers: { allow: page.method === 'GET' ? 'GET, HEAD' : 'POST' },
      };
    }
    // Only browsers send it, and no web page has any business here.
    if (page.method === 'POST' && request.headers.origin !== undefined) return textAnswer(403, 'not from a web page');
    return page.answer(new URLSearchParams(query.join('?')));
  }

  #index(): string {
    return [...this.#pages]
      .map(([path, { method, help }]) => `${method.padEnd(4)} ${path.padEnd(16)} ${help}`)
      .join('\n');
  }
}
