/** `tulle plan`: what a change would do, compiled as a mesh would, and whom it reaches. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { INBOUND_LISTENER, TYPE } from '#api/names.ts';
import { planCommand, type PlanOptions } from '../../../cli/plan/command.ts';
import { planChange, type ChangePlan } from '../../../cli/plan/plan.ts';
import type { Subscriber } from '../../../cli/plan/sidecars.ts';
import { planText } from '../../../cli/plan/text.ts';
import { objectsOf, worldOf } from '../../support/manifests.ts';

const service = (name: string): string => `
apiVersion: v1
kind: Service
metadata: { name: ${name}, namespace: shop }
spec:
  selector: { app: ${name} }
  ports: [{ name: http, port: 80, appProtocol: http }]
---
apiVersion: v1
kind: Pod
metadata: { name: ${name}-0, namespace: shop, labels: { app: ${name} }, annotations: { tulle.dev/inject: enabled } }
spec: { serviceAccountName: ${name}, containers: [{ name: app, image: app }] }
status: { podIP: 10.0.0.${name.length}, podIPs: [{ ip: 10.0.0.${name.length} }], conditions: [{ type: Ready, status: 'True' }] }
---`;

const policy = (timeout: string, name = 'calm'): string => `
apiVersion: tulle.dev/v1alpha1
kind: TrafficPolicy
metadata: { name: ${name}, namespace: shop }
spec:
  targetRefs: [{ group: '', kind: Service, name: reviews }]
  timeouts: { request: ${timeout} }
---`;

const route = (weight: number): string => `
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: reviews, namespace: shop }
spec:
  parentRefs: [{ group: '', kind: Service, name: reviews }]
  rules:
    - name: all
      backendRefs: [{ name: reviews, port: 80, weight: ${weight} }, { name: cart, port: 80, weight: 10 }]
---`;

const outside = (host: string): string => `
apiVersion: tulle.dev/v1alpha1
kind: ExternalService
metadata: { name: pay, namespace: shop }
spec: { hosts: ['${host}'], ports: [{ number: 443, name: https, appProtocol: tls }] }`;

const deployment = (replicas: number): string => `
apiVersion: v1
kind: Service
metadata: { name: blog, namespace: shop }
spec: { selector: { app: blog }, ports: [{ name: http, port: 80, appProtocol: http }] }
---
apiVersion: apps/v1
kind: Deployment
metadata: { name: blog, namespace: shop }
spec:
  replicas: ${replicas}
  selector: { matchLabels: { app: blog } }
  template:
    metadata: { labels: { app: blog }, annotations: { tulle.dev/inject: enabled } }
    spec: { containers: [{ name: app, image: app, ports: [{ containerPort: 80 }] }] }
---`;

const BASE = `${service('reviews')}${service('cart')}${service('frontend')}${policy('2s')}${route(90)}`;

function planned(next: string, subscribers: readonly Subscriber[] | null = null): ChangePlan {
  const events = objectsOf(next, 'next.yaml').map((object) => ({ type: 'set', object }) as const);
  return planChange(worldOf(BASE, 'base.yaml'), events, 'cluster.local', subscribers);
}

t.test('a policy that changes is told field by field, with who sets it before and after', async (t) => {
  const plan = planned(policy('5s'));
  t.same(
    plan.objects.map(({ object, change, line }) => [object, change, line]),
    [['TrafficPolicy shop/calm', 'changed', 2]],
  );
  t.match(plan.ports, [
    {
      port: 'shop/reviews:80',
      routes: [
        {
          name: 'shop/reviews/all',
          settings: [{ path: 'spec.timeouts.request', before: { value: 2000 }, after: { value: 5000 } }],
        },
      ],
    },
  ]);
  const text = planText(plan, (file) => file);
  t.match(text, 'timeouts.request: 2s (TrafficPolicy shop/calm) -> 5s (TrafficPolicy shop/calm)');
});

t.test('a route that changes is told member by member', async (t) => {
  const [port] = planned(route(70)).ports;
  t.same(
    port?.routes[0]?.differences.map(({ path, before, after }) => [path, before, after]),
    [['action.backends[0].weight', 90, 70]],
  );
});

t.test('what is the same changes nothing', async (t) => {
  const plan = planned(`${policy('2s')}${route(90)}`);
  t.same([plan.objects.length, plan.unchanged, plan.ports.length, plan.sidecars.told.length], [0, 2, 0, 0]);
  t.match(
    planText(plan, (file) => file),
    'nothing changes',
  );
});

t.test('trouble that appears and trouble that goes are told', async (t) => {
  const lost = planned(policy('9s', 'brisk'));
  t.match(lost.trouble.appears.join(), /TrafficPolicy shop\/calm.*Conflicted|TrafficPolicy shop\/brisk.*Conflicted/);
  const gone = planned(service('extra'));
  t.same(gone.trouble.goes, []);
});

const follows = (workload: string, ...names: string[]): Subscriber => ({
  name: workload,
  client: { namespace: 'shop', workload, dialect: 'sidecar' },
  names: [
    [TYPE.listener, INBOUND_LISTENER],
    ...names.flatMap((name) =>
      [TYPE.listener, TYPE.route, TYPE.cluster, TYPE.endpoints].map((type) => [type, name] as const),
    ),
  ],
});

t.test('of a mesh that runs, only the sidecars that follow what changed are told something new', async (t) => {
  const subscribers = [
    follows('shop/frontend-0', 'reviews.shop.svc.cluster.local:80'),
    follows('shop/cart-0', 'cart.shop.svc.cluster.local:80'),
  ];
  const { sidecars } = planned(policy('5s'), subscribers);
  t.same([sidecars.basis, sidecars.all], ['follow', 2]);
  t.same(
    sidecars.told.map(({ sidecar, resources }) => [sidecar, resources]),
    [['shop/frontend-0', ['reviews.shop.svc.cluster.local:80']]],
  );
});

t.test('without a mesh that runs, whoever may call what changed counts', async (t) => {
  const { sidecars } = planned(policy('5s'));
  t.same([sidecars.basis, sidecars.all, sidecars.told.length], ['may', 3, 3]);
});

t.test('a limit on what arrives reaches the pods behind the Service alone', async (t) => {
  const limit = policy('2s').replace(
    'timeouts: { request: 2s }',
    'timeouts: { request: 2s }\n  rateLimit: { requests: 5, per: 1s }',
  );
  const { sidecars } = planned(limit);
  t.same(
    sidecars.told.map(({ sidecar, resources }) => [sidecar, resources]),
    [['shop/reviews-0', ['inbound']]],
  );
});

t.test('what holds for the whole mesh or a namespace is told with its values, and reaches everybody', async (t) => {
  const refuse = planned(`
apiVersion: tulle.dev/v1alpha1
kind: MeshPolicy
metadata: { name: default }
spec: { outbound: { unknownDestinations: Refuse } }`);
  t.same(refuse.outbound, [{ path: 'unknownDestinations', before: 'passthrough', after: 'refuse' }]);
  t.same(refuse.sidecars.told.length, 3);
  const strict = planned(`
apiVersion: v1
kind: Namespace
metadata: { name: shop, annotations: { tulle.dev/mtls-mode: STRICT } }`);
  t.same(
    strict.workloads.map(({ owner, pods, differences }) => [owner, pods, differences]),
    ['cart', 'frontend', 'reviews'].map((name) => [
      `shop/${name}-0`,
      1,
      [{ path: 'mtlsMode', before: 'PERMISSIVE', after: 'STRICT' }],
    ]),
  );
  t.match(
    planText(strict, (file) => file),
    'Workloads\n  shop/cart-0\n    mtlsMode: PERMISSIVE -> STRICT',
  );
});

t.test('routes of connections, and ExternalServices, are told like Services', async (t) => {
  const stream = `
apiVersion: v1
kind: Service
metadata: { name: db, namespace: shop }
spec: { selector: { app: cart }, ports: [{ name: tcp, port: 5432, appProtocol: tcp }] }
---
apiVersion: gateway.networking.k8s.io/v1alpha2
kind: TCPRoute
metadata: { name: db, namespace: shop }
spec:
  parentRefs: [{ group: '', kind: Service, name: db }]
  rules: [{ backendRefs: [{ name: db, port: 5432, weight: 1 }] }]`;
  const base = worldOf(`${BASE}${stream}`);
  const events = objectsOf(stream.replace('weight: 1', 'weight: 7')).map(
    (object) => ({ type: 'set', object }) as const,
  );
  t.match(planChange(base, events, 'cluster.local', null).ports, [
    {
      kind: 'Service',
      port: 'shop/db:5432',
      routes: [
        { name: 'shop/db', change: 'changed', differences: [{ path: 'backends[0].weight', before: 1, after: 7 }] },
      ],
    },
  ]);
  t.match(planned(outside('*.pay.example')).ports, [
    { kind: 'ExternalService', port: 'shop/pay:443', change: 'added' },
  ]);
  const moved = planChange(
    worldOf(`${BASE}${outside('a.example')}`),
    objectsOf(outside('b.example')).map((object) => ({ type: 'set', object }) as const),
    'cluster.local',
    null,
  );
  t.same(moved.ports[0]?.differences, [{ path: 'hosts[0]', before: 'a.example', after: 'b.example' }]);
});

t.test(
  'a Deployment without pods counts as the pods that it would make; new ones are not told, they begin',
  async (t) => {
    const events = objectsOf(deployment(5)).map((object) => ({ type: 'set', object }) as const);
    const plan = planChange(worldOf(deployment(2)), events, 'cluster.local', null);
    t.match(plan.ports, [{ port: 'shop/blog:80', endpoints: { added: 3, removed: 0, changed: 0 } }]);
    t.same(plan.sidecars.all, 2);
    t.match(
      planText(plan, (file) => file),
      /2 of 2 are told something new, if they call what changed\n {2}shop\/blog x 2 +blog\.shop/,
    );
  },
);

t.test('a complaint that only moves to another file is neither new nor gone', async (t) => {
  const lost = policy('2s').replace('name: reviews }', 'name: nobody }');
  const events = objectsOf(lost.replace('2s', '3s'), 'elsewhere.yaml').map(
    (object) => ({ type: 'set', object }) as const,
  );
  const { trouble } = planChange(worldOf(`${service('cart')}${lost}`, 'base.yaml'), events, 'cluster.local', null);
  t.same(trouble, { appears: [], goes: [] });
});

interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

async function run(t: Test, next: string, more: Partial<PlanOptions> = {}, base = BASE): Promise<Ran> {
  const folder = t.testdir();
  mkdirSync(join(folder, 'base'), { recursive: true });
  writeFileSync(join(folder, 'base', 'mesh.yaml'), base);
  writeFileSync(join(folder, 'next.yaml'), next);
  const [out, err]: [string[], string[]] = [[], []];
  const options = {
    filename: [join(folder, 'next.yaml')],
    delete: [],
    output: 'text',
    domain: 'cluster.local',
    stateDir: folder,
  };
  const code = await planCommand(
    join(folder, 'base'),
    { ...options, ...more },
    {
      out: (line) => void out.push(line),
      err: (line) => void err.push(line),
    },
  );
  return { code, out: out.join('\n'), err: err.join('\n') };
}

t.test('the exit code says when a change reaches too far, or cannot be read', async (t) => {
  t.equal((await run(t, policy('5s'))).code, 0);
  t.match(await run(t, policy('5s'), { maxSidecars: 2 }), { code: 3, err: 'reaches too far: 3 sidecars, at most 2' });
  t.equal((await run(t, policy('5s'), { maxSidecars: 3, maxServices: 1 })).code, 0);
  t.equal((await run(t, policy('5s'), { maxServices: 0 })).code, 3);
  const broken = await run(t, policy('soon'));
  t.equal(broken.code, 1);
  t.match(broken.err, /next\.yaml:\d+:\d+: spec\.timeouts\.request: is no duration/);
});

t.test('what is deleted is planned as well; what is not there is said', async (t) => {
  const gone = await run(t, policy('2s'), { delete: ['HTTPRoute/shop/reviews'] });
  t.equal(gone.code, 0);
  t.match(gone.out, 'route shop/reviews/all is removed');
  t.match(await run(t, '', { delete: ['HTTPRoute/shop/nobody'] }), {
    code: 1,
    err: 'there is no HTTPRoute shop/nobody to delete',
  });
  t.match(await run(t, '', { delete: ['Root/shop/reviews'] }), { code: 1, err: /names no object/ });
});

t.test('what is wrong with what there is counts, unless it is what is replaced', async (t) => {
  const broken = `${BASE}${policy('soon', 'other')}`;
  const kept = await run(t, policy('5s'), {}, broken);
  t.equal(kept.code, 1);
  t.match(kept.err, /mesh\.yaml:\d+:\d+: spec\.timeouts\.request: is no duration/);
  t.match(kept.out, 'timeouts.request: 2s', 'what is good is planned all the same');
  const mended = await run(t, policy('5s', 'other'), {}, broken);
  t.equal(mended.code, 0, mended.err);
});
