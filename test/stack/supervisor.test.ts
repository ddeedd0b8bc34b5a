/**
 * The supervisor against a real gRPC server: what it asks for, what it passes on, and what it does when the control plane
 * errs, goes away or comes back. The worker's side is a list of messages.
 */
import t, { type Test } from 'tap';
import { Cluster, Cluster_DiscoveryType } from '#api/generated/envoy/config/cluster/v3/cluster.ts';
import { ClusterLoadAssignment } from '#api/generated/envoy/config/endpoint/v3/endpoint.ts';
import { RouteConfiguration } from '#api/generated/envoy/config/route/v3/route.ts';
import { Secret } from '#api/generated/envoy/extensions/transport_sockets/tls/v3/tls.ts';
import { TYPE } from '#api/names.ts';
import { systemClock, type Clock } from '#base/clock.ts';
import { silentLogger } from '#base/log.ts';
import { Supervisor } from '../../proxy/supervisor/supervisor.ts';
import { MetricRegistry } from '../../proxy/telemetry/metrics.ts';
import type { SnapshotChange, ToWorker } from '../../proxy/worker/messages.ts';
import { FakeControlPlane } from '../support/fake-control-plane.ts';
import { ADS, bytes, httpListener } from '../support/xds-messages.ts';

const MAX_BACKOFF_MS = 30_000;
const A = 'a.shop.svc.cluster.local:80';

/** Of a connection and of a call: these wait for real sockets, and back-off is never just as long. */
const CALL_DEADLINE_MS = 10_000;

/** Real time, but what would be waited for up to 30 s before a new try comes soon; what was asked for is kept. */
function hastyClock(delays: number[]): Clock {
  return {
    ...systemClock,
    after(delayMs, run) {
      if (delayMs > MAX_BACKOFF_MS || delayMs === CALL_DEADLINE_MS) return systemClock.after(delayMs, run);
      delays.push(delayMs);
      return systemClock.after(5, run);
    },
  };
}

class Harness {
  readonly messages: ToWorker[] = [];
  readonly delays: number[] = [];
  readonly registry = new MetricRegistry();
  readonly supervisor: Supervisor;
  readonly #waiting = new Set<() => void>();
  drains = 0;

  /** @param drainDeadlineMs by default longer than the clock is hasty */
  constructor(controlPlane: FakeControlPlane, drainDeadlineMs = 60_000) {
    this.supervisor = new Supervisor(
      {
        controlPlane: controlPlane.address,
        pod: { namespace: 'shop', name: 'web-1', owner: 'web', serviceAccount: 'web' },
        trustDomain: 'cluster.local',
        adminAddress: { address: '127.0.0.1', port: 0 },
        metricsAddress: { address: '127.0.0.1', port: 0 },
        leafTtlMs: 3_600_000,
        maxDestinations: 100,
        drainDeadlineMs,
      },
      {
        clock: hastyClock(this.delays),
        random: () => 0.999_999,
        log: silentLogger,
        registry: this.registry,
        metrics: this.registry,
        readFile: controlPlane.readFile,
        post: (message) => {
          this.messages.push(message);
          for (const wake of this.#waiting) wake();
          this.#waiting.clear();
        },
        recall: async () => [],
        describeWorker: async () => ({
          identity: '',
          listeners: [],
          destinations: new Map(),
          clusters: [],
          connections: { inbound: 0, outbound: 0 },
        }),
        onDrain: () => this.drains++,
      },
    );
  }

  /** The first change that fits, now or later. */
  async change(fits: (change: SnapshotChange) => boolean): Promise<SnapshotChange> {
    for (;;) {
      const found = this.messages.find((m) => m.kind === 'change' && fits(m.change));
      if (found?.kind === 'change') return found.change;
      await this.#next();
    }
  }

  async identity(): Promise<void> {
    while (!this.messages.some((m) => m.kind === 'identity')) await this.#next();
  }

  #next(): Promise<void> {
    return new Promise((resolve) => this.#waiting.add(resolve));
  }
}

function cluster(name: string): Buffer {
  const clusterDiscoveryType = { $case: 'type', value: Cluster_DiscoveryType.EDS };
  return bytes(Cluster, { name, clusterDiscoveryType, edsClusterConfig: { edsConfig: ADS } });
}

function table(name: string, ...clusters: string[]): Buffer {
  const routes = clusters.map((value) => ({
    match: { pathSpecifier: { $case: 'prefix', value: '/' } },
    action: { $case: 'route', value: { clusterSpecifier: { $case: 'cluster', value } } },
  }));
  return bytes(RouteConfiguration, { name, virtualHosts: [{ name: 'all', domains: ['*'], routes }] });
}

async function get(port: number, path: string, method = 'GET'): Promise<[status: number, body: string]> {
  const response = await fetch(`http://127.0.0.1:${port}${path}`, { method });
  return [response.status, await response.text()];
}

/** A control plane that knows the inbound side, the trust bundle and one destination. */
async function setUp(t: Test): Promise<{ controlPlane: FakeControlPlane; harness: Harness }> {
  const controlPlane = await FakeControlPlane.start();
  const specifier = { $case: 'inlineString', value: controlPlane.authority.trustBundle };
  const trust = { $case: 'validationContext', value: { trustedCa: { specifier } } };
  controlPlane.set(TYPE.secret, 'ROOTCA', bytes(Secret, { name: 'ROOTCA', type: trust }), '1');
  controlPlane.set(TYPE.listener, 'inbound', httpListener('inbound', 'in'), '1');
  controlPlane.set(TYPE.route, 'in', table('in'), '1');
  controlPlane.set(TYPE.listener, A, httpListener(A, A), '1');
  controlPlane.set(TYPE.route, A, table(A, A), '1');
  controlPlane.set(TYPE.cluster, A, cluster(A), '1');
  controlPlane.set(TYPE.endpoints, A, bytes(ClusterLoadAssignment, { clusterName: A }), '1');
  const harness = new Harness(controlPlane);
  t.teardown(async () => {
    await harness.supervisor.close();
    controlPlane.stop();
  });
  return { controlPlane, harness };
}

t.test('the sidecar is ready with certificate, trust bundle and inbound side, and says what is missing', async (t) => {
  const { controlPlane, harness } = await setUp(t);
  const { supervisor } = harness;
  const { adminPort, metricsPort } = await supervisor.start();
  t.match(await get(adminPort, '/ready'), [503, /listeners are not open yet/]);
  supervisor.listening();
  await harness.change((change) => change.listeners.has('inbound'));
  await harness.change((change) => (change.trust?.rootsPem.length ?? 0) === 1);
  await harness.identity();
  t.same([supervisor.notReady, await get(metricsPort, '/readyz')], [[], [200, 'ready\n']]);
  t.same(new Set(controlPlane.tokens), new Set(['Bearer token-of-token']));
  const [first, ...later] = controlPlane.requests;
  t.same([first?.node?.id, later.some((r) => r.node !== undefined)], ['sidecar~web-1~shop', false]);

  const [, dump] = await get(adminPort, '/config_dump');
  const [, certs] = await get(adminPort, '/certs');
  t.match(JSON.parse(dump), { connected: true, refused: {}, listeners: { inbound: { direction: 'inbound' } } });
  t.match(JSON.parse(certs), { identity: 'spiffe://cluster.local/ns/shop/sa/web', chain: [{}, {}], roots: [{}] });
  t.notMatch(dump + certs, /PRIVATE KEY|token-of/);
  const [, metrics] = await get(metricsPort, '/metrics');
  t.match(metrics, /^tulle_identity_certificate_expiry_seconds \d/m);
  t.match(metrics, /^process_resident_memory_bytes \d{7,}$/m);
  t.match(await get(adminPort, '/nothing'), [404, /POST \/drain/]);
  t.same([await get(adminPort, '/drain'), harness.drains], [[405, 'use POST\n'], 0], 'no GET changes anything');
  t.same([await get(adminPort, '/drain', 'POST'), harness.drains], [[202, 'draining\n'], 1]);

  const drained = supervisor.drain();
  t.match(await get(metricsPort, '/readyz'), [503, /draining/]);
  t.match(harness.messages.at(-1), { kind: 'drain', direction: 'inbound' });
  supervisor.receive({ kind: 'drained', direction: 'inbound' });
  await new Promise((resolve) => setImmediate(resolve));
  t.match(harness.messages.at(-1), { kind: 'drain', direction: 'outbound' });
  supervisor.receive({ kind: 'drained', direction: 'outbound' });
  await drained;
});

t.test('a drain ends a second behind its deadline, though no worker says that it has drained', async (t) => {
  const controlPlane = await FakeControlPlane.start();
  const harness = new Harness(controlPlane, 2000);
  t.teardown(async () => {
    await harness.supervisor.close();
    controlPlane.stop();
  });
  await harness.supervisor.drain();
  const told = harness.messages.filter(({ kind }) => kind === 'drain');
  t.match(told, [{ direction: 'inbound' }, { direction: 'outbound' }]);
  t.equal(Math.ceil(harness.delays[0]!), 3000);
});

t.test('a destination comes whole in one batch, an unknown one is answered at once, a released one goes', async (t) => {
  const { controlPlane, harness } = await setUp(t);
  await harness.supervisor.start();
  harness.supervisor.receive({ kind: 'want', destination: A });
  harness.supervisor.receive({ kind: 'want', destination: 'nobody:1' });
  const change = await harness.change((c) => c.destinations.get(A) === 'ready');
  t.ok(change.listeners.get(A), 'the listener comes in the batch that says ready');
  await harness.change((c) => c.destinations.get('nobody:1') === 'unknown');
  harness.supervisor.receive({ kind: 'idle', destination: A });
  const gone = await harness.change((c) => c.destinations.get(A) === 'released');
  t.same(
    [...gone.listeners, ...gone.routes, ...gone.clusters, ...gone.endpoints],
    [0, 1, 2, 3].map(() => [A, null]),
  );
  const request = await controlPlane.request((r) => r.resourceNamesUnsubscribe.includes(A));
  t.ok(request);
});

t.test(
  'a bad resource is refused with every problem; its last good form and its neighbours are in force',
  async (t) => {
    const { controlPlane, harness } = await setUp(t);
    await harness.supervisor.start();
    harness.supervisor.receive({ kind: 'want', destination: A });
    await harness.change((c) => c.destinations.get(A) === 'ready');
    const bad = bytes(RouteConfiguration, { name: A, virtualHosts: [{ domains: [], routes: [{}] }] });
    controlPlane.push(TYPE.route, { [A]: { bytes: bad, version: '2' }, in: { bytes: table('in', A), version: '2' } });
    const nack = await controlPlane.request((r) => r.errorDetail !== undefined);
    t.equal(
      nack.errorDetail?.message,
      [
        `${A}: virtual_hosts[0].name: must not be empty`,
        'virtual_hosts[0].domains: must hold at least one domain',
        'virtual_hosts[0].routes[0].match: no path_specifier set (set prefix, path, safe_regex or path_separated_prefix)',
        'virtual_hosts[0].routes[0]: no action set (set route, redirect or direct_response)',
      ].join('\n'),
    );
    const neighbour = await harness.change((c) => c.routes.get('in')?.virtualHosts[0]?.routes.length === 1);
    t.notOk(neighbour.routes.has(A));
    controlPlane.set(TYPE.route, A, table(A, A, A), '3');
    await harness.change((c) => c.routes.get(A)?.virtualHosts[0]?.routes.length === 2);
  },
);

t.test(
  'after a break the sidecar resubscribes with the versions it has, and nothing changes that did not',
  async (t) => {
    const { controlPlane, harness } = await setUp(t);
    await harness.supervisor.start();
    harness.supervisor.receive({ kind: 'want', destination: A });
    await harness.change((c) => c.destinations.get(A) === 'ready');
    await harness.identity();
    await harness.change((c) => c.listeners.has('inbound'));
    await harness.change((c) => c.trust !== undefined);
    const before = harness.messages.length;
    controlPlane.requests.length = 0;
    controlPlane.dropStreams();
    const listeners = await controlPlane.request((r) => r.typeUrl === TYPE.listener);
    t.same(
      [listeners.node?.id ?? '', [...listeners.resourceNamesSubscribe].sort(), listeners.initialResourceVersions],
      ['', [A, 'inbound', 'outbound'], { [A]: '1', inbound: '1' }],
      'the node was said in the first request, about secrets',
    );
    t.equal(controlPlane.requests[0]?.typeUrl, TYPE.secret);
    controlPlane.set(TYPE.route, A, table(A), '2');
    await harness.change((c) => c.routes.get(A)?.virtualHosts[0]?.routes.length === 0);
    t.equal(harness.messages.length, before + 1, 'one change for one difference');
  },
);

t.test('without a control plane the sidecar keeps trying, ever more slowly, and keeps what it has', async (t) => {
  const { controlPlane, harness } = await setUp(t);
  const { supervisor } = harness;
  await supervisor.start();
  supervisor.receive({ kind: 'want', destination: A });
  await harness.change((c) => c.destinations.get(A) === 'ready');
  await harness.identity();
  controlPlane.stop();
  harness.delays.length = 0;
  while (harness.delays.filter((ms) => ms > 29_000).length < 4) await new Promise((resolve) => setImmediate(resolve));
  t.ok((harness.delays[0] ?? 0) < 1000, 'soon at first');
  t.notOk(
    harness.messages.some((m) => m.kind === 'change' && m.change.listeners.get(A) === null),
    'still in force',
  );
  controlPlane.requests.length = 0;
  await controlPlane.listen();
  await controlPlane.request((r) => r.initialResourceVersions[A] === '1');
  await harness.change((c) => c.listeners.has('inbound'));
  supervisor.listening();
  t.same(supervisor.notReady, []);
});
