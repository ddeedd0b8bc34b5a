/**
 * Destinations followed to their end, and what comes into force when. No stream: resources are put in as if received.
 */
import t from 'tap';
import type {
  ClusterConfig,
  EndpointsConfig,
  ListenerConfig,
  RouteTableConfig,
} from '../../../proxy/config/snapshot.ts';
import { Destinations } from '../../../proxy/supervisor/xds/destinations.ts';
import type { Kind } from '../../../proxy/supervisor/xds/references.ts';
import { Subscription } from '../../../proxy/supervisor/xds/subscription.ts';

const A = 'a.shop.svc.cluster.local:80';

function listener(routes: string): ListenerConfig {
  const network = { kind: 'http', statPrefix: 'x', routes, fallback: null } as const;
  const chain = { name: 'http', destinationPort: null, transport: null, mtls: false, network };
  return { name: routes, direction: 'outbound', address: '', port: 0, chains: [chain], serverNames: [], service: null };
}

function table(...clusters: string[]): RouteTableConfig {
  const targets = clusters.map((cluster) => ({ cluster, weight: 1, requestHeaders: null, responseHeaders: null }));
  const action = {
    kind: 'forward',
    clusters: targets,
    prefixRewrite: '',
    hostRewrite: '',
    timeoutMs: 0,
    idleTimeoutMs: 0,
    retry: null,
  } as const;
  const route = {
    name: '',
    path: { kind: 'prefix', value: '/' },
    headers: [],
    query: [],
    requestHeaders: null,
    responseHeaders: null,
    action,
  } as const;
  return { name: 'r', virtualHosts: [{ name: 'all', domains: ['*'], routes: [route] }] };
}

function cluster(name: string): ClusterConfig {
  return {
    name,
    discovery: 'eds',
    endpoints: null,
    connectTimeoutMs: 1000,
    balancer: { kind: 'random' },
    peerIdentities: [],
    limits: { connections: 1, pendingRequests: 1, requests: 1 },
    retryBudget: { percent: 20, minPerSecond: 10, intervalMs: 1000 },
    http2: false,
    service: null,
  };
}

function lines(what: string, map: ReadonlyMap<string, unknown>): string[] {
  return [...map].map(([name, value]) => `${value === null ? '-' : '+'}${what} ${name}`);
}

/** A tracker whose received resources and wishes can be looked at. */
class Bench {
  readonly wanted = new Set<string>();
  readonly tracker: Destinations;
  readonly #received = new Map<string, unknown>();

  constructor(limit = 10) {
    const get = (kind: Kind, name: string): never => this.#received.get(`${kind} ${name}`) as never;
    this.tracker = new Destinations(
      {
        listener: (name) => get('listener', name),
        route: (name) => get('route', name),
        cluster: (name) => get('cluster', name),
        endpoints: (name) => get('endpoints', name),
      },
      {
        subscribe: (kind, name) => this.wanted.add(`${kind} ${name}`),
        unsubscribe: (kind, name) => {
          this.wanted.delete(`${kind} ${name}`);
          this.#received.delete(`${kind} ${name}`);
        },
      },
      limit,
    );
  }

  /** Receives a resource; null: it does not exist. */
  put(
    kind: Kind,
    name: string,
    value: ListenerConfig | RouteTableConfig | ClusterConfig | EndpointsConfig | null,
  ): void {
    this.#received.set(`${kind} ${name}`, value);
    this.tracker.changed(kind, name);
  }

  /** The change as lines: `+` put in force, `-` taken away. */
  change(): readonly string[] {
    const change = this.tracker.takeChange();
    if (change === null) return [];
    return [
      ...lines('endpoints', change.endpoints),
      ...lines('cluster', change.clusters),
      ...lines('route', change.routes),
      ...lines('listener', change.listeners),
      ...[...change.destinations].map(([name, state]) => `${name} is ${state}`),
    ];
  }

  /** Everything of a destination of one name. */
  complete(name: string): void {
    this.tracker.want(name);
    this.put('listener', name, listener(name));
    this.put('route', name, table(name));
    this.put('cluster', name, cluster(name));
    this.put('endpoints', name, { cluster: name, endpoints: [] });
  }
}

t.test('a Service name is asked for in one round trip and is ready when all of it was answered', async (t) => {
  const bench = new Bench();
  bench.tracker.want(A);
  t.same([...bench.wanted], [`listener ${A}`, `route ${A}`, `cluster ${A}`, `endpoints ${A}`]);
  bench.put('listener', A, listener(A));
  bench.put('route', A, table(A));
  bench.put('cluster', A, cluster(A));
  t.same([bench.change(), bench.tracker.state(A)], [[], 'pending'], 'endpoints are missing');
  bench.put('endpoints', A, { cluster: A, endpoints: [] });
  t.same(bench.change(), [`+endpoints ${A}`, `+cluster ${A}`, `+route ${A}`, `+listener ${A}`, `${A} is ready`]);
});

t.test('a captured address leads step by step to what its listener names', async (t) => {
  const bench = new Bench();
  bench.tracker.want('10.0.0.1:80');
  t.same([...bench.wanted], ['listener 10.0.0.1:80']);
  bench.put('listener', '10.0.0.1:80', listener('r'));
  bench.put('route', 'r', table('c', 'gone'));
  t.same([...bench.wanted], ['listener 10.0.0.1:80', 'route r', 'cluster c', 'cluster gone']);
  bench.put('cluster', 'c', cluster('c'));
  bench.put('cluster', 'gone', null);
  bench.put('endpoints', 'c', null);
  t.same(
    bench.change(),
    ['+endpoints c', '+cluster c', '+route r', '+listener 10.0.0.1:80', '10.0.0.1:80 is ready'],
    'what does not exist is an answer too; no endpoints are an empty set',
  );
});

t.test('an unknown name is answered at once and may appear later', async (t) => {
  const bench = new Bench();
  bench.tracker.want(A);
  bench.put('listener', A, null);
  t.same(bench.change(), [`${A} is unknown`]);
  t.same([...bench.wanted], [`listener ${A}`], 'its guessed parts are no longer asked for');
  bench.complete(A);
  t.match(bench.change().at(-1), `${A} is ready`);
  bench.put('listener', A, null);
  t.same(bench.change(), [`-endpoints ${A}`, `-cluster ${A}`, `-route ${A}`, `-listener ${A}`, `${A} is unknown`]);
});

t.test('a new route stays out until its clusters are there, and the old cluster stays until then', async (t) => {
  const bench = new Bench();
  bench.complete(A);
  bench.change();
  bench.put('route', A, table('b'));
  t.same([bench.change(), bench.wanted.has('cluster b')], [[], true]);
  bench.put('cluster', A, null);
  t.same(bench.change(), [], 'what is in force still refers to it');
  bench.put('cluster', 'b', cluster('b'));
  bench.put('endpoints', 'b', { cluster: 'b', endpoints: [] });
  t.same(bench.change(), ['+endpoints b', `-endpoints ${A}`, '+cluster b', `-cluster ${A}`, `+route ${A}`]);
  t.same([...bench.wanted].sort(), ['cluster b', 'endpoints b', `listener ${A}`, `route ${A}`].sort());
});

t.test('what two destinations share stays until both are released', async (t) => {
  const bench = new Bench();
  bench.complete(A);
  bench.tracker.want('10.0.0.1:80');
  bench.put('listener', '10.0.0.1:80', listener(A));
  bench.change();
  bench.tracker.release(A);
  t.same(bench.change(), [`-listener ${A}`, `${A} is released`]);
  bench.tracker.release('10.0.0.1:80');
  t.same(bench.change().length, 5);
  t.equal(bench.wanted.size, 0);
});

t.test('at the limit the oldest unknown name makes room; without one, newcomers count as unknown', async (t) => {
  const bench = new Bench(2);
  bench.complete(A);
  bench.tracker.want('x:1');
  bench.put('listener', 'x:1', null);
  bench.change();
  t.equal(bench.tracker.want('y:1'), true);
  t.same(bench.change(), ['x:1 is released']);
  t.equal(bench.tracker.want('z:1'), false);
  t.same(bench.change(), ['z:1 is unknown']);
  bench.tracker.release('z:1');
  t.same(bench.change(), ['z:1 is released']);
  t.same(
    [...bench.tracker.states],
    [
      [A, 'ready'],
      ['y:1', 'pending'],
    ],
  );
});

t.test('a subscription tells a new stream all it wants and has, and an old one only differences', async (t) => {
  const subscription = new Subscription();
  t.equal(subscription.takeRequest(), null, 'an empty first request would mean everything');
  subscription.want('a');
  subscription.want('b');
  t.same(subscription.takeRequest(), { subscribe: ['a', 'b'], unsubscribe: [], initialVersions: {} });
  subscription.settle('a', 'v1');
  subscription.settle('b', null);
  subscription.release('b');
  subscription.want('b');
  subscription.want('c');
  t.same(subscription.takeRequest(), { subscribe: ['b', 'c'], unsubscribe: [], initialVersions: {} });
  subscription.release('c');
  t.same(subscription.takeRequest(), { subscribe: [], unsubscribe: ['c'], initialVersions: {} });
  subscription.release('b');
  subscription.restart();
  t.same(subscription.takeRequest(), { subscribe: ['a'], unsubscribe: [], initialVersions: { a: 'v1' } });
  t.equal(subscription.takeRequest(), null);
});
