/**
 * What one decision costs: the route of a request and the choice of an endpoint. `node bench/routing.ts` prints a table and
 * exits with 1 when a route among 1,000 takes longer than its budget. Knows no socket.
 */
import { PeakEwma } from '#base/ewma.ts';
import { seededRandom } from '#base/random.ts';
import { linkPicker } from '../proxy/balancing/picker.ts';
import type { BalancerConfig } from '../proxy/config/balancers.ts';
import type { PathMatchConfig } from '../proxy/config/matches.ts';
import type { RouteConfig } from '../proxy/config/snapshot.ts';
import type { BalancedEndpoint } from '../proxy/exchange/destination.ts';
import { HeaderList } from '../proxy/http/headers.ts';
import { findRoute, linkRouteTable } from '../proxy/routing/table.ts';

const ROUTE_BUDGET_US = 5;
const BATCH = 2000;
const BATCHES = 101;

function medianUs(run: (i: number) => unknown): number {
  const samples: number[] = [];
  for (let batch = 0; batch < BATCHES; batch++) {
    const start = performance.now();
    for (let i = 0; i < BATCH; i++) run(i);
    samples.push(((performance.now() - start) * 1000) / BATCH);
  }
  return samples.sort((a, b) => a - b)[BATCHES >> 1]!;
}

function route(name: string, path: PathMatchConfig): RouteConfig {
  const headers = [
    { name: 'x-version', match: { kind: 'exact', value: '2', ignoreCase: false }, invert: false },
  ] as const;
  return {
    name,
    path,
    headers: name.endsWith('7') ? headers : [],
    query: [],
    requestHeaders: null,
    responseHeaders: null,
    action: { kind: 'respond', status: 200, body: '' },
  };
}

/** Median time to find routes of a table, asked in turn for each of them, or, with a `suffix` that fits none, for none. */
function routeUs(count: number, pathOf: (n: number) => PathMatchConfig, suffix = ''): number {
  const routes = Array.from({ length: count }, (_, n) => route(`r${n}`, pathOf(n)));
  const table = linkRouteTable({ name: 'r', virtualHosts: [{ name: 'v', domains: ['reviews', '*.shop'], routes }] });
  const headers = new HeaderList(['user-agent', 'curl', 'accept', '*/*', 'x-request-id', '1', 'x-version', '2']);
  // Built first: the strings of a request come from its head as they are, too.
  const paths = routes.map(({ path }) => `${path.value}${suffix}?page=1`);
  return medianUs((i) => findRoute(table, 'reviews:8080', 'GET', paths[(i * 7) % count]!, headers));
}

function pickUs(config: BalancerConfig, count: number): number {
  const endpoints = Array.from({ length: count }, (_, n): BalancedEndpoint => ({
    config: {
      address: '10.0.0.1',
      port: n,
      healthy: true,
      weight: 1 + (n % 3),
      zone: '',
      mtls: true,
      identity: '',
      workload: null,
    },
    inFlight: n % 5,
    latency: new PeakEwma(30, 10_000, 0),
    sinceMs: 0,
    available: true,
    passing: true,
  }));
  const picker = linkPicker(config, endpoints);
  const random = seededRandom(1);
  return medianUs((i) => picker.pick(i, random, [], null));
}

const results: Record<string, number> = { '1 route': routeUs(1, () => ({ kind: 'prefix', value: '/' })) };
for (const kind of ['exact', 'segments', 'prefix'] as const) {
  const pathOf = (n: number): PathMatchConfig => ({ kind, value: `/api/v1/thing-${n}${kind === 'prefix' ? '.' : ''}` });
  results[`1,000 routes, ${kind}`] = routeUs(1000, pathOf, kind === 'exact' ? '' : '/42');
}
results['1,000 routes, none of them'] = routeUs(1000, (n) => ({ kind: 'segments', value: `/api/v1/thing-${n}` }), 'x');
const slowest = Math.max(...Object.values(results));
for (const kind of ['peak-ewma', 'least-request', 'round-robin', 'random'] as const) {
  const config: BalancerConfig = kind === 'peak-ewma' ? { kind, defaultRttMs: 30, decayMs: 10_000 } : { kind };
  results[`${kind}, 100 endpoints`] = pickUs(config, 100);
}
for (const [name, us] of Object.entries(results)) console.log(`${name.padEnd(28)} ${us.toFixed(3).padStart(8)} us`);
if (slowest > ROUTE_BUDGET_US) {
  console.error(`a route takes ${slowest.toFixed(1)} us, the budget is ${ROUTE_BUDGET_US} us`);
  process.exitCode = 1;
}
