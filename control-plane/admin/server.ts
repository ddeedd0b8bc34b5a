/**
 * Health, metrics and debug views over HTTP, GET only. The debug views answer callers on this machine alone.
 * Knows paths; what the views say comes from the composition.
 */
import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Metrics } from './metrics.ts';

export interface AdminViews {
  /** Why clients are not served now, for people; null: they are. */
  notReady(): string | null;
  readonly metrics: Metrics;
  /** By last part of the path: `/debug/<name>`. The results are printed as JSON. */
  readonly debug: Readonly<Record<string, () => unknown>>;
}

export interface Admin {
  readonly address: string;
  close(): Promise<void>;
}

/** Nobody here needs long: all bounds are small. */
const REQUEST_TIMEOUT_MS = 10_000;
const MAX_CONNECTIONS = 100;
const LOOPBACK = /^(?:::ffff:)?127\.|^::1$/;
/** A page in a browser that was led here by a name of its own must not read what is meant for this machine. */
const LOCAL_HOST = /^(?:localhost|127\.\d+\.\d+\.\d+|\[::1\])(?::\d+)?$/;

export function startAdmin(address: string, views: AdminViews): Promise<Admin> {
  const colon = address.lastIndexOf(':');
  const host = address.slice(0, colon).replaceAll(/[[\]]/g, '');
  const server = createServer({ requestTimeout: REQUEST_TIMEOUT_MS, headersTimeout: REQUEST_TIMEOUT_MS });
  server.maxConnections = MAX_CONNECTIONS;
  server.on('request', (request, response) => {
    answer(request, response, views).catch((error: unknown) => {
      // A view with a defect costs its page, never the process.
      if (!response.headersSent) say(response, 500, `this view could not be made: ${String(error)}`);
      else response.destroy();
    });
  });
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(Number(address.slice(colon + 1)), host, () => {
      const bound = server.address();
      const port = typeof bound === 'object' && bound !== null ? bound.port : 0;
      resolve({ address: `${address.slice(0, colon)}:${port}`, close: () => closeServer(server) });
    });
  });
}

async function answer(request: IncomingMessage, response: ServerResponse, views: AdminViews): Promise<void> {
  const path = (request.url ?? '/').split('?', 1)[0] ?? '/';
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    response.setHeader('allow', 'GET, HEAD');
    say(response, 405, 'only GET');
  } else if (path === '/healthz') {
    say(response, 200, 'ok');
  } else if (path === '/readyz') {
    const reason = views.notReady();
    if (reason === null) say(response, 200, 'ready');
    else say(response, 503, `not ready: ${reason}`);
  } else if (path === '/metrics') {
    response.setHeader('content-type', views.metrics.contentType);
    response.end(await views.metrics.text());
  } else if (path.startsWith('/debug/')) {
    answerDebug(path.slice('/debug/'.length), request, response, views);
  } else {
    say(response, 404, 'no such page: /healthz /readyz /metrics /debug/');
  }
}

function answerDebug(name: string, request: IncomingMessage, response: ServerResponse, views: AdminViews): void {
  const isLocal = LOOPBACK.test(request.socket.remoteAddress ?? '') && LOCAL_HOST.test(request.headers.host ?? '');
  if (!isLocal) {
    say(response, 403, 'debug views answer this machine only');
    return;
  }
  const view = Object.hasOwn(views.debug, name) ? views.debug[name] : undefined;
  if (view === undefined) {
    say(response, 404, `no such view; there are ${Object.keys(views.debug).join(', ')}`);
    return;
  }
  response.setHeader('content-type', 'application/json');
  response.end(`${JSON.stringify(view(), printMaps, 2)}\n`);
}

/** Maps as objects, byte arrays as their length. */
function printMaps(_key: string, value: unknown): unknown {
  if (value instanceof Map) return Object.fromEntries(value);
  return value instanceof Uint8Array ? `${value.length} bytes` : value;
}

function say(response: ServerResponse, status: number, text: string): void {
  response.statusCode = status;
  response.setHeader('content-type', 'text/plain; charset=utf-8');
  response.end(`${text}\n`);
}

function closeServer(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}
