/**
 * Worker threads that share limits, die and are replaced, or are too busy to answer: the fleet in this process, its threads real.
 */
import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { systemClock } from '#base/clock.ts';
import { silentLogger } from '#base/log.ts';
import { seededRandom } from '#base/random.ts';
import type { RetryConfig } from '../../proxy/config/retries.ts';
import { Fleet } from '../../proxy/supervisor/workers/fleet.ts';
import { JoinedMetrics } from '../../proxy/telemetry/joined.ts';
import { MetricRegistry } from '../../proxy/telemetry/metrics.ts';
import { renderPrometheus } from '../../proxy/telemetry/prometheus.ts';
import type { ToWorker } from '../../proxy/worker/messages.ts';
import { freePort } from '../support/ports.ts';
import { cluster, DEFAULT_RETRY, destination, endpoint, route, settings } from '../support/worker.ts';

const ROOT = join(import.meta.dirname, '..', '..');
const LIMIT = 5;

/** Answers `/wait` when `release` is called, `/fail` with 503. */
async function startApp(t: Test) {
  const waiting: http.ServerResponse[] = [];
  let requests = 0;
  const server = http.createServer((request, response) => {
    requests++;
    if (request.url === '/wait') waiting.push(response);
    else response.writeHead(request.url === '/fail' ? 503 : 200).end('here');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  const release = (): void => {
    for (const response of waiting.splice(0)) response.end('late');
  };
  return { port: (server.address() as AddressInfo).port, waiting, release, requests: () => requests };
}

interface Rig {
  readonly fleet: Fleet;
  readonly port: number;
  readonly metric: (name: string) => number;
}

async function startFleet(
  t: Test,
  changes: readonly ToWorker[],
  script = 'proxy/main.ts',
  pod = 'web-1',
): Promise<Rig> {
  const port = await freePort();
  const registry = new MetricRegistry();
  const metrics = new JoinedMetrics(registry);
  const fleet = new Fleet({
    count: 2,
    script: join(ROOT, script),
    settings: settings({
      outbound: null,
      explicitListens: [{ name: 'echo:80', address: '127.0.0.1', port }],
      pod: { namespace: 'default', name: pod, owner: 'web', serviceAccount: 'web' },
    }),
    logLevel: 'error',
    logFormat: 'text',
    clock: systemClock,
    random: seededRandom(1),
    log: silentLogger,
    registry,
    metrics,
    receive: () => undefined,
    catchUp: () => changes,
    stateOf: () => 'ready',
  });
  t.teardown(() => fleet.close());
  t.same(await fleet.open(), []);
  const metric = (name: string): number =>
    renderPrometheus(metrics)
      .split('\n')
      .filter((line) => line.startsWith(name))
      .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
  return { fleet, port, metric };
}

function ask(port: number, path: string, agent: http.Agent | false = false): Promise<string> {
  return new Promise((resolve) => {
    const request = http.get({ host: '127.0.0.1', port, path, agent }, (response) => {
      response.resume();
      response.on('end', () =>
        resolve(`${response.statusCode} ${String(response.headers['tulle-reason'] ?? '')}`.trim()),
      );
    });
    request.on('error', (error) => resolve(error.message));
  });
}

async function until(holds: () => boolean, what: string): Promise<void> {
  const deadline = Date.now() + 15_000;
  while (!holds()) {
    if (Date.now() > deadline) throw new Error(`waited in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

t.setTimeout(60_000);

t.test('limits and the retry budget hold for the pod', async (t) => {
  const app = await startApp(t);
  const limits = { connections: 100, pendingRequests: 100, requests: LIMIT };
  const retryBudget = { percent: 0, minPerSecond: 1, intervalMs: 10_000 };
  const retry: RetryConfig = { ...DEFAULT_RETRY, on: ['gateway-error'], attempts: 1 };
  const backend = cluster('echo:80', [endpoint(app.port)], { limits, retryBudget });
  const known = destination('echo:80', backend, [route('echo:80', { retry })]);
  const { port, fleet, metric } = await startFleet(t, [{ kind: 'change', change: known }]);

  const answers = Array.from({ length: 30 }, () => ask(port, '/wait'));
  await until(() => app.waiting.length === LIMIT, 'as many as the limit allows');
  const early = await Promise.all(
    answers.map((answer) => Promise.race([answer, new Promise((r) => setTimeout(r, 1000))])),
  );
  t.equal(early.filter((answer) => answer === '503 overflow').length, 30 - LIMIT, 'whichever worker they came to');
  t.equal((await fleet.describe()).clusters[0]?.activeRequests, LIMIT);
  app.release();
  await Promise.all(answers);
  await until(() => metric('tulle_downstream_connections{') === 0, 'all are gone');

  const before = app.requests();
  for (let i = 0; i < 40; i++) await ask(port, '/fail');
  t.equal(app.requests() - before, 40 + 10, 'one retry a second for ten seconds, for both together');
});

t.test('a worker that dies is replaced; connections of the other stay, and what it counted is forgotten', async (t) => {
  const app = await startApp(t);
  const limits = { connections: 100, pendingRequests: 100, requests: 20 };
  const known = destination('echo:80', cluster('echo:80', [endpoint(app.port)], { limits }));
  const { port, fleet, metric } = await startFleet(t, [{ kind: 'change', change: known }]);
  const waiting = Array.from({ length: 20 }, () => ask(port, '/wait'));
  await until(() => app.waiting.length === 20, 'both have some');
  const agents = Array.from({ length: 20 }, () => new http.Agent({ keepAlive: true, maxSockets: 1 }));
  fleet.kill(0);
  await until(() => metric('tulle_worker_restarts_total') === 1, 'it is counted');
  await until(() => metric('tulle_workers') === 2, 'it is replaced');
  app.release();
  const ends = await Promise.all(waiting);
  const lost = ends.filter((end) => !end.startsWith('200')).length;
  t.ok(lost > 0 && lost < 20, `${lost} of 20 were with the one that died`);
  t.same(new Set(await Promise.all(agents.map((agent) => ask(port, '/', agent)))), new Set(['200']), 'both serve');
  await until(() => metric('tulle_upstream_connections{') >= 0, 'gauges of the dead are gone');
  t.equal((await fleet.describe()).clusters[0]?.activeRequests, 0, 'and hold up nobody');
  t.ok(metric('tulle_requests_total') >= 20 + ends.length - lost, 'counters never go down');
  for (const agent of agents) agent.destroy();
});

t.test('who is too busy to say how it is does not hold up the answer', async (t) => {
  const { fleet } = await startFleet(t, [], 'test/support/spinning-thread.ts', '3000');
  const startMs = performance.now();
  t.same((await fleet.describe()).connections, { inbound: 1, outbound: 0 }, 'of the other');
  t.ok(performance.now() - startMs < 2000);
});
