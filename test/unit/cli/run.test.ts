/** The runner's decisions without any process: environment, ports, rolling updates, what is said about edits and deaths. */
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import t from 'tap';
import { FakeClock } from '#base/fake-clock.ts';
import { Problems } from '#base/problems.ts';
import { parsePod } from '../../../control-plane/kinds/pod.ts';
import type { Container, Probe } from '../../../control-plane/kinds/pod-spec.ts';
import { AddressPool } from '../../../cli/run/addresses.ts';
import { deathNotice } from '../../../cli/run/death-notice.ts';
import { describeEdits } from '../../../cli/run/edits.ts';
import { expand, invocation, type PodFacts } from '../../../cli/run/environment.ts';
import { occupied } from '../../../cli/run/mesh-file.ts';
import { podObject } from '../../../cli/run/pod-object.ts';
import { Prober } from '../../../cli/run/prober.ts';
import { planReplica, revisionOf } from '../../../cli/run/replica-plan.ts';
import { nextSteps } from '../../../cli/run/rollout.ts';
import { servicePorts } from '../../../cli/run/service-ports.ts';
import { worldOf } from '../../support/manifests.ts';

const FACTS: PodFacts = {
  name: 'cart-x-1',
  namespace: 'shop',
  uid: 'shop.cart-x-1',
  nodeName: 'local',
  hostAddress: '127.0.0.1',
  serviceAccount: 'cart',
  address: '127.67.0.2',
  labels: { app: 'cart' },
  annotations: {},
};

const CONTAINER: Container = {
  name: 'cart',
  image: '',
  command: ['node', 'cart.mjs'],
  args: ['--peer', '$(CATALOG_SERVICE_HOST):$(CATALOG_SERVICE_PORT)', '$(NOBODY)', '$$(POD_IP)'],
  workingDir: '',
  env: [
    { name: 'LATE', value: '$(EARLY)', fieldPath: '' },
    { name: 'POD_IP', value: '', fieldPath: 'status.podIP' },
    { name: 'APP', value: '', fieldPath: "metadata.labels['app']" },
    { name: 'EARLY', value: 'http://$(POD_IP)/$(APP)', fieldPath: '' },
    { name: 'CPU', value: '', fieldPath: 'limits.cpu' },
  ],
  ports: [{ name: 'http', containerPort: 8080, protocol: 'TCP' }],
  readinessProbe: null,
};

t.test('makes environment and command line as Kubernetes does', async (t) => {
  const unknown: string[] = [];
  const services = [
    {
      service: 'my-catalog',
      ports: [
        { name: 'http', address: '127.67.0.2', port: 20_001 },
        { name: 'grpc-web', address: '127.67.0.2', port: 20_002 },
      ],
    },
    { service: 'catalog', ports: [{ name: '', address: '127.67.0.2', port: 20_003 }] },
  ];
  const made = invocation(CONTAINER, FACTS, services, { PATH: '/bin' }, (field) => unknown.push(field));
  t.same(made.argv, ['node', 'cart.mjs', '--peer', '127.67.0.2:20003', '$(NOBODY)', '$(POD_IP)']);
  t.same(
    made.env,
    {
      PATH: '/bin',
      HOSTNAME: 'cart-x-1',
      MY_CATALOG_SERVICE_HOST: '127.67.0.2',
      MY_CATALOG_SERVICE_PORT: '20001',
      MY_CATALOG_SERVICE_PORT_HTTP: '20001',
      MY_CATALOG_SERVICE_PORT_GRPC_WEB: '20002',
      CATALOG_SERVICE_HOST: '127.67.0.2',
      CATALOG_SERVICE_PORT: '20003',
      LATE: '$(EARLY)',
      POD_IP: '127.67.0.2',
      APP: 'cart',
      EARLY: 'http://127.67.0.2/cart',
    },
    'a variable sees only those declared before it',
  );
  t.same(unknown, ['limits.cpu']);
});

t.test('expands as the Kubernetes expansion syntax says', async (t) => {
  const values = { A: '1', B: '$(A)' };
  const cases = ['$(A)', '$$(A)', '$$$(A)', '$(A)$(A)', '$(B)', '$(C)', '$A', '$', '$(', '$(A', '$()', 'x$$y'];
  t.same(
    cases.map((text) => expand(text, values)),
    ['1', '$(A)', '$1', '11', '$(A)', '$(C)', '$A', '$', '$(', '$(A', '$()', 'x$y'],
  );
});

const service = (name: string): string => `
apiVersion: v1
kind: Service
metadata: { name: ${name}, namespace: shop }
spec: { selector: { app: x }, ports: [{ name: http, port: 8080 }, { name: dns, port: 53, protocol: UDP }] }
`;

t.test('gives each Service port a loopback port that does not depend on the others', async (t) => {
  const few = servicePorts(worldOf(service('cart')).services.values(), 'cluster.local');
  const many = servicePorts(
    worldOf(['a', 'b', 'cart', 'd'].map(service).join('---')).services.values(),
    'cluster.local',
  );
  t.same(
    few.map((p) => [p.service, p.portName, p.destination]),
    [['cart', 'http', 'cart.shop.svc.cluster.local:8080']],
  );
  t.equal(many.find((p) => p.service === 'cart')?.listenPort, few[0]?.listenPort);
  t.equal(new Set(many.map((p) => p.listenPort)).size, 4);
  t.ok(many.every((p) => p.listenPort >= 20_000 && p.listenPort < 30_000));
});

const EXTERNALS = `
apiVersion: tulle.dev/v1alpha1
kind: ExternalService
metadata: { name: payments, namespace: shop }
spec: { hosts: ["*.payments.example", api.payments.example], ports: [{ number: 443, name: https }, { number: 80 }] }
---
apiVersion: tulle.dev/v1alpha1
kind: ExternalService
metadata: { name: cart, namespace: shop }
spec: { hosts: [cart.example], ports: [{ number: 80 }] }
---
apiVersion: tulle.dev/v1alpha1
kind: ExternalService
metadata: { name: printers, namespace: shop }
spec: { resolution: PassThrough, addresses: ["2001:db8::1", 192.0.2.1], ports: [{ number: 9100 }] }
---
apiVersion: tulle.dev/v1alpha1
kind: ExternalService
metadata: { name: wild, namespace: shop }
spec: { hosts: ["*.wild.example"], ports: [{ number: 80 }] }
`;

t.test('gives ports of ExternalServices loopback ports too, to their first host or address', async (t) => {
  const { services, externalServices } = worldOf(`${service('cart')}---${EXTERNALS}`);
  const ports = servicePorts(services.values(), 'cluster.local', externalServices.values());
  t.same(
    ports.map((p) => [p.service, p.portName, p.destination]),
    [
      ['cart', 'http', 'cart.shop.svc.cluster.local:8080'],
      ['payments', 'https', 'api.payments.example:443'],
      ['payments', '', 'api.payments.example:80'],
      ['printers', '', '192.0.2.1:9100'],
    ],
  );
  t.equal(ports[0]?.listenPort, servicePorts(services.values(), 'cluster.local')[0]?.listenPort);
});

const r = (name: string, revision: string, ready: boolean) => ({ name, revision, ready });

t.test('starts new replicas first and ends old ones only when others serve', async (t) => {
  const steps = [
    nextSteps(2, 'b', []),
    nextSteps(2, 'b', [r('a1', 'a', true), r('a2', 'a', true)]),
    nextSteps(2, 'b', [r('a1', 'a', true), r('a2', 'a', true), r('b1', 'b', false)]),
    nextSteps(2, 'b', [r('a1', 'a', true), r('a2', 'a', true), r('b1', 'b', true)]),
    nextSteps(2, 'b', [r('a2', 'a', true), r('b1', 'b', true)]),
    nextSteps(2, 'b', [r('b1', 'b', true), r('b2', 'b', true)]),
    nextSteps(1, 'b', [r('b1', 'b', true), r('b2', 'b', false)]),
    nextSteps(0, 'b', [r('b1', 'b', true)]),
    nextSteps(1, 'b', [r('a1', 'a', false)]),
    nextSteps(3, 'b', [r('a1', 'a', true), r('b1', 'b', true)]),
  ];
  t.same(steps, [
    { start: 2, end: [] },
    { start: 1, end: [] },
    { start: 0, end: [] },
    { start: 0, end: ['a1'] },
    { start: 1, end: [] },
    { start: 0, end: [] },
    { start: 0, end: ['b2'] },
    { start: 0, end: ['b1'] },
    { start: 1, end: ['a1'] },
    { start: 2, end: [] },
  ]);
});

const SHOP = (weight: number, replicas: number, timeout: string, command: string): string => `
apiVersion: v1
kind: Service
metadata: { name: reviews, namespace: shop }
spec: { selector: { app: reviews }, ports: [{ port: 8080 }] }
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: reviews, namespace: shop }
spec:
  parentRefs: [{ group: "", kind: Service, name: reviews, port: 8080 }]
  rules: [{ backendRefs: [{ name: v1, port: 8080, weight: ${weight} }, { name: v2, port: 8080, weight: ${100 - weight} }] }]
---
apiVersion: tulle.dev/v1alpha1
kind: TrafficPolicy
metadata: { name: reviews, namespace: shop }
spec:
  targetRefs: [{ group: "", kind: Service, name: reviews }]
  timeouts: { request: ${timeout} }
---
apiVersion: apps/v1
kind: Deployment
metadata: { name: reviews, namespace: shop }
spec:
  replicas: ${replicas}
  selector: { matchLabels: { app: reviews } }
  template:
    metadata: { labels: { app: reviews } }
    spec: { containers: [{ name: reviews${command} }] }
`;

t.test('says what an edit changed', async (t) => {
  const before = worldOf(SHOP(80, 2, '2s', ', command: [node, a.mjs]'));
  const after = worldOf(
    SHOP(50, 3, '1s', ', command: [node, b.mjs]').replace(
      'name: reviews, namespace: shop }\nspec: { selector',
      'name: other, namespace: shop }\nspec: { selector',
    ),
  );
  t.same(describeEdits(before, before), []);
  t.same(describeEdits(before, after), [
    'reviews split now 50/50 (v1, v2)',
    'TrafficPolicy reviews: timeouts.requestMs 2000 -> 1000',
    'reviews: 2 -> 3 replicas',
    'reviews: new template, rolling out',
    'Service shop/other is new',
    'Service shop/reviews is gone',
  ]);
});

t.test('plans a replica with names that stay the same, and says why one cannot run', async (t) => {
  const [deployment] = worldOf(SHOP(80, 2, '2s', ', command: [node, a.mjs]')).deployments.values();
  const [imageOnly] = worldOf(SHOP(80, 2, '2s', ', image: shop:1')).deployments.values();
  if (deployment === undefined || imageOnly === undefined) throw new Error('no deployment');
  const problems = new Problems();
  const plans = [0, 1, 0].map((number) => planReplica(deployment, undefined, number, problems)?.name);
  t.equal(plans[0], plans[2]);
  t.not(plans[0], plans[1]);
  t.ok(plans[0]?.startsWith(`reviews-${revisionOf(deployment)}-`));
  const selector = 'spec: { nodeSelector: { topology.kubernetes.io/zone: a }, containers';
  const [zoned] = worldOf(
    SHOP(80, 2, '2s', ', command: [node, a.mjs]').replace('spec: { containers', selector),
  ).deployments.values();
  const labels = planReplica(zoned!, undefined, 0, problems)?.labels;
  t.equal(labels?.['topology.kubernetes.io/zone'], 'a', 'as Kubernetes labels the pods of such a node');
  t.ok(problems.isEmpty);
  t.equal(planReplica(imageOnly, undefined, 0, problems), null);
  t.match(problems.list, [
    { path: 'spec.template.spec.containers[0].command', reason: /gives no command/, advice: /command: \[node/ },
  ]);
});

t.test('writes a Pod that the control plane reads as it would one of a cluster', async (t) => {
  const problems = new Problems();
  const object = podObject({
    facts: { ...FACTS, labels: { app: 'cart', 'pod-template-hash': 'abc' } },
    owner: { deployment: 'cart', replicaSet: 'cart-abc' },
    container: CONTAINER,
    gracePeriodSeconds: 7,
    podAddress: '127.66.0.2',
    meshed: true,
    phase: 'Running',
    ready: true,
    createdMs: 1_700_000_000_000,
    endingMs: 1_700_000_001_000,
  });
  const pod = parsePod(JSON.parse(JSON.stringify(object)), { problems, place: null, placeOf: () => null });
  t.same(problems.list, []);
  t.match(pod, {
    owner: 'cart',
    terminating: true,
    status: { phase: 'Running', podIps: ['127.66.0.2'], ready: true },
    meta: { name: 'cart-x-1', namespace: 'shop', annotations: { 'tulle.dev/inject': 'enabled' } },
    spec: {
      serviceAccountName: 'cart',
      nodeName: 'local',
      containers: [{ ports: [{ name: 'http', containerPort: 8080 }] }],
    },
  });
});

t.test('hands out addresses of blocks that are free, and hands them out again', async (t) => {
  const claimed: number[] = [];
  const released: number[] = [];
  const pool = new AddressPool(async (block) => {
    if (block === 0) return null;
    claimed.push(block);
    return () => void released.push(block);
  });
  t.equal(await pool.controlPlane(), '127.66.1.1');
  const first = await pool.take();
  const second = await pool.take();
  pool.release(first);
  t.same(
    [first, second, await pool.take()],
    [{ pod: '127.66.1.2', app: '127.67.1.2' }, { pod: '127.66.1.3', app: '127.67.1.3' }, first],
  );
  for (let i = 0; i < 249; i++) await pool.take();
  t.same([claimed, released], [[1, 2], []]);
  pool.close();
  t.same(released, [1, 2]);
});

t.test('probes with thresholds, eagerly until the first success', async (t) => {
  const probe: Probe = {
    handler: { kind: 'tcp', port: 1 },
    initialDelayMs: 1000,
    periodMs: 10_000,
    timeoutMs: 1000,
    successThreshold: 2,
    failureThreshold: 2,
  };
  const clock = new FakeClock();
  const heard: [number, boolean][] = [];
  let healthy = false;
  let looks = 0;
  const look = async (): Promise<boolean> => {
    looks++;
    return healthy;
  };
  const prober = new Prober(probe, look, clock, (ready) => heard.push([clock.now(), ready]));
  const pass = async (ms: number): Promise<void> => {
    for (let i = 0; i < ms; i += 100) {
      clock.advance(100);
      await new Promise(setImmediate);
    }
  };
  prober.restart();
  await pass(900);
  t.equal(looks, 0, 'waits for the initial delay');
  await pass(500);
  t.equal(looks, 3, 'asks every 200 ms at first');
  healthy = true;
  await pass(400);
  t.same(heard, [[1800, true]], 'two successes make it ready');
  healthy = false;
  await pass(20_000);
  t.same(heard.slice(1), [[21_800, false]], 'two failures, a period apart, make it unready');
  prober.stop();
  await pass(20_000);
  t.equal(heard.length, 2);
});

t.test('says how a process died, and what to do when its address is taken', async (t) => {
  const exit = {
    code: 1,
    signal: '',
    livedMs: 50,
    output: 'Error: listen EADDRINUSE: address already in use 0.0.0.0:8080',
    notStarted: '',
  };
  t.match(
    deathNotice('cart-1', 'app', exit, 200, '/l/cart-1.log'),
    /^cart-1 ended with code 1: its address is in use .*status\.podIP.*--netns/,
  );
  t.same(
    [
      deathNotice('cart-1', 'sidecar', { ...exit, code: null, signal: 'SIGKILL' }, 0, '/l/x.log'),
      deathNotice('cart-1', 'app', { ...exit, notStarted: 'spawn nodd ENOENT' }, 400, '/l/x.log'),
    ],
    [
      'the sidecar of cart-1 was ended by SIGKILL, restarted at once (output: /l/x.log)',
      'cart-1 cannot be started: spawn nodd ENOENT (again in 400ms)',
    ],
  );
});

t.test('a state folder belongs to one mesh at a time', (t) => {
  const folder = t.testdir({ 'mesh.json': JSON.stringify({ runnerPid: process.pid }) });
  t.match(occupied(folder), new RegExp(`process ${process.pid}\\): end it, or name another with --state-dir`));
  const { pid } = spawnSync('true');
  writeFileSync(`${folder}/mesh.json`, JSON.stringify({ runnerPid: pid }));
  t.equal(occupied(folder), null, 'its runner is gone');
  t.equal(occupied(t.testdir({})), null);
  t.end();
});
