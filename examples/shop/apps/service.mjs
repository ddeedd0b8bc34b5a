/**
 * What the services of the shop have in common: a small HTTP server with an honest health endpoint, and calls to other services
 * that pass the trace on. Plain node:http, nothing of the mesh: in a cluster or on a laptop, these programs do not know about it.
 */
import http from 'node:http';

/** Headers that tie the calls of one request together (W3C, B3); whoever receives them passes them on. */
const TRACE = ['traceparent', 'tracestate', 'b3', 'x-request-id'];
const CALL_TIMEOUT_MS = 5000;

/** Where this instance answers; in a pod, and under `tulle run`, POD_IP is its own address. */
const ADDRESS = process.env.POD_IP ?? '0.0.0.0';
const PORT = Number(process.env.PORT ?? 8080);

/** An error with the status that the caller should see. */
export class HttpError extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/**
 * Serves `routes`: functions `(request, url, groups) -> value to answer as JSON`, by `METHOD /path/:name`.
 * `/healthz` says 200 while this instance can take requests: 503 from SIGTERM on, and when `healthy()` says no.
 */
export function serve(routes, healthy = () => true) {
  const table = Object.entries(routes).map(([key, handle]) => {
    const [method, pathname] = key.split(' ');
    return { method, pattern: new URLPattern({ pathname }), handle };
  });
  let ending = false;
  const server = http.createServer(async (request, response) => {
    const url = new URL(request.url, 'http://self');
    if (url.pathname === '/healthz') {
      const up = !ending && healthy();
      answer(response, up ? 200 : 503, { healthy: up });
      return;
    }
    if (ending) response.setHeader('connection', 'close');
    try {
      const route = table.find((r) => r.method === request.method && r.pattern.test(url));
      if (route === undefined) throw new HttpError(404, `no ${request.method} ${url.pathname} here`);
      answer(response, 200, await route.handle(request, url, route.pattern.exec(url).pathname.groups));
    } catch (error) {
      if (error.status === undefined) console.error(error);
      answer(response, error.status ?? 500, { error: error.message });
    }
  });
  server.listen(PORT, ADDRESS, () => console.log(`listening on ${ADDRESS}:${PORT}`));
  process.on('SIGTERM', () => {
    ending = true;
    server.close();
  });
}

function answer(response, status, body) {
  const text = JSON.stringify(body);
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) });
  response.end(text);
}

/** GET of another service: its JSON. The trace of `request` is passed on. Any other status than 200 becomes a 502. */
export function get(request, url) {
  const headers = {};
  for (const name of TRACE) if (request.headers[name] !== undefined) headers[name] = request.headers[name];
  return new Promise((resolve, reject) => {
    const call = http.get(url, { headers, timeout: CALL_TIMEOUT_MS }, async (response) => {
      try {
        let text = '';
        for await (const piece of response.setEncoding('utf8')) text += piece;
        if (response.statusCode !== 200) throw new HttpError(502, `${url} answered ${response.statusCode}: ${text}`);
        resolve(JSON.parse(text));
      } catch (error) {
        reject(error);
      }
    });
    call.on('timeout', () => call.destroy(new HttpError(504, `${url} did not answer in time`)));
    call.on('error', (error) => reject(error.status ? error : new HttpError(502, `${url}: ${error.message}`)));
  });
}
