/**
 * What golden files cannot show: compiling after a change says the same as compiling anew, what did not change stays the very same
 * object, and names lead where Kubernetes' DNS would.
 */
import { isDeepStrictEqual } from 'node:util';
import t from 'tap';
import { seededRandom, type Random } from '#base/random.ts';
import { compile } from '../../../control-plane/compile/compile.ts';
import { DEFAULT_COMPILE_OPTIONS, type Compiled } from '../../../control-plane/compile/compiled.ts';
import { lookup } from '../../../control-plane/model/lookups.ts';
import { WorldStore } from '../../../control-plane/sources/world-store.ts';
import type { ObjectEvent } from '../../../control-plane/sources/world.ts';
import { objectKey } from '../../../control-plane/kinds/meta.ts';
import { troubleOf } from '../../../control-plane/status/writer.ts';
import { objectsOf, worldOf } from '../../support/manifests.ts';

/** What it says, whatever the order in which maps were filled. */
function content({ mesh, conditions }: Compiled): unknown {
  const { services, workloads, endpoints, ...rest } = mesh;
  return {
    ...rest,
    services: sorted(services),
    workloads: sorted(workloads),
    endpoints: sorted(endpoints),
    conditions: sorted(conditions),
  };
}

function sorted(map: ReadonlyMap<string, unknown>): unknown {
  return Object.fromEntries([...map].sort(byKey));
}

function byKey([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number {
  return a < b ? -1 : 1;
}

function pick<T>(random: Random, from: readonly T[]): T {
  return from[Math.floor(random() * from.length)] as T;
}

/** Few names and labels, so that objects collide and refer to each other. */
const NAMES = ['a', 'b', 'c'];
const NAMESPACES = ['shop', 'web'];

function randomPod(random: Random, name: string, namespace: string): string {
  const address = `10.1.${NAMESPACES.indexOf(namespace)}.${pick(random, [1, 2, 3, 4])}`;
  const deleted = random() < 0.2 ? ', deletionTimestamp: "2026-01-01T00:00:00Z"' : '';
  const mode = random() < 0.2 ? `, annotations: { tulle.dev/mtls-mode: ${pick(random, ['STRICT', 'LOOSE'])} }` : '';
  return `
apiVersion: v1
kind: Pod
metadata: { name: ${name}, namespace: ${namespace}, labels: { app: ${pick(random, NAMES)} }${mode}${deleted} }
spec: { containers: [{ name: app, image: x, ports: [{ name: ${pick(random, ['web', 'other'])}, containerPort: ${pick(random, [8080, 9090])} }] }] }
status: { phase: ${pick(random, ['Running', 'Running', 'Running', 'Pending', 'Failed'])}, podIP: ${address}, conditions: [{ type: Ready, status: "${pick(random, ['True', 'True', 'False'])}" }] }
`;
}

function randomSlice(random: Random, name: string, namespace: string): string {
  const endpoint = (): string => {
    const target = random() < 0.5 ? `, targetRef: { kind: Pod, name: ${pick(random, NAMES)} }` : '';
    const address = `10.1.${pick(random, [0, 1])}.${pick(random, [1, 2, 3, 4, 5])}`;
    return `{ addresses: [${address}], conditions: { ready: ${pick(random, ['true', 'false'])}, terminating: ${pick(random, ['true', 'false'])} }${target} }`;
  };
  return `
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: { name: ${name}, namespace: ${namespace}, labels: { kubernetes.io/service-name: ${pick(random, NAMES)} } }
addressType: IPv4
ports: [{ name: http, port: 8000 }]
endpoints: [${endpoint()}, ${endpoint()}]
`;
}

function randomService(random: Random, name: string, namespace: string): string {
  return `
apiVersion: v1
kind: Service
metadata: { name: ${name}, namespace: ${namespace} }
spec: { selector: { app: ${pick(random, NAMES)} }, ports: [{ name: ${pick(random, ['http', 'tcp-x'])}, port: ${pick(random, [80, 81])}, targetPort: ${pick(random, ['web', '8080'])} }] }
`;
}

function randomRoute(random: Random, name: string, namespace: string): string {
  return `
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: ${name}, namespace: ${namespace} }
spec:
  parentRefs: [{ group: "", kind: Service, name: ${pick(random, NAMES)}, namespace: ${pick(random, NAMESPACES)} }]
  rules: [{ matches: [{ path: { value: /${pick(random, NAMES)} } }], backendRefs: [{ name: ${pick(random, NAMES)}, port: ${pick(random, [80, 81])} }] }]
`;
}

function randomPolicy(random: Random, name: string, namespace: string): string {
  return `
apiVersion: tulle.dev/v1alpha1
kind: TrafficPolicy
metadata: { name: ${name}, namespace: ${namespace} }
spec:
  targetRefs: [{ group: "", kind: Service, name: ${pick(random, NAMES)} }]
  timeouts: { request: ${pick(random, ['1s', '2s'])} }
`;
}

function randomGrpcRoute(random: Random, name: string, namespace: string): string {
  return `
apiVersion: gateway.networking.k8s.io/v1
kind: GRPCRoute
metadata: { name: ${name}, namespace: ${namespace} }
spec:
  parentRefs: [{ group: "", kind: Service, name: ${pick(random, NAMES)}, namespace: ${pick(random, NAMESPACES)} }]
  rules: [{ matches: [{ method: { service: ${pick(random, NAMES)} } }], backendRefs: [{ name: ${pick(random, NAMES)}, namespace: ${pick(random, NAMESPACES)}, port: 80 }] }]
`;
}

function randomGrant(random: Random, name: string, namespace: string): string {
  return `
apiVersion: gateway.networking.k8s.io/v1
kind: ReferenceGrant
metadata: { name: ${name}, namespace: ${namespace} }
spec: { from: [{ group: gateway.networking.k8s.io, kind: GRPCRoute, namespace: ${pick(random, NAMESPACES)} }], to: [{ group: "", kind: Service }] }
`;
}

function randomNamespace(random: Random, _name: string, namespace: string): string {
  const inject = pick(random, ['enabled', 'disabled']);
  return `{ apiVersion: v1, kind: Namespace, metadata: { name: ${namespace}, labels: { tulle.dev/inject: ${inject} } } }`;
}

const FAST = [randomPod, randomPod, randomSlice];
const ALL = [...FAST, randomService, randomRoute, randomGrpcRoute, randomGrant, randomPolicy, randomNamespace];

function randomEvents(random: Random, kinds: typeof ALL): ObjectEvent[] {
  return Array.from({ length: 1 + Math.floor(random() * 3) }, (): ObjectEvent => {
    const [object] = objectsOf(pick(random, kinds)(random, pick(random, NAMES), pick(random, NAMESPACES)));
    if (object === undefined) throw new Error('nothing was written');
    if (random() < 0.3) return { type: 'delete', kind: object.kind, key: objectKey(object.meta) };
    return { type: 'set', object };
  });
}

t.test('after any change what was taken over says what a whole compilation says', async (t) => {
  const random = seededRandom(7);
  const store = new WorldStore();
  for (let i = 0; i < 12; i++) store.apply(randomEvents(random, ALL));
  let compiled = compile(store.world, DEFAULT_COMPILE_OPTIONS);
  let fast = 0;
  for (let i = 0; i < 600; i++) {
    store.apply(randomEvents(random, i < 300 && i % 20 !== 19 ? FAST : ALL));
    const before = compiled.world;
    compiled = compile(store.world, DEFAULT_COMPILE_OPTIONS, compiled);
    const anew = compile(store.world, DEFAULT_COMPILE_OPTIONS);
    if (!isDeepStrictEqual(content(compiled), content(anew))) t.same(content(compiled), content(anew), `change ${i}`);
    if (before.services === store.world.services && before.pods !== store.world.pods) fast++;
  }
  t.ok(fast > 100, `${fast} changes went the fast path`);
});

const SHOP = `
apiVersion: v1
kind: Service
metadata: { name: reviews, namespace: shop }
spec: { clusterIPs: [10.96.0.10, "fd00::10"], selector: { app: reviews }, ports: [{ name: http, port: 80, targetPort: 8080 }] }
---
apiVersion: v1
kind: Service
metadata: { name: details, namespace: shop }
spec: { selector: { app: details }, ports: [{ name: http, port: 80, targetPort: 8080 }] }
---
apiVersion: v1
kind: Pod
metadata: { name: reviews-1, namespace: shop, labels: { app: reviews } }
spec: { containers: [{ name: app, image: x, ports: [{ containerPort: 8080 }] }] }
status: { phase: Running, podIP: 10.1.0.1, conditions: [{ type: Ready, status: "True" }] }
`;

t.test('what did not change keeps its identity', async (t) => {
  const first = compile(worldOf(SHOP), DEFAULT_COMPILE_OPTIONS);
  // The same text read again: every object is new, nothing has changed.
  const again = compile(worldOf(SHOP), DEFAULT_COMPILE_OPTIONS, first);
  t.equal(again.mesh, first.mesh);
  t.equal(again.conditions, first.conditions);

  const moved = compile(worldOf(SHOP.replace('10.1.0.1', '10.1.0.2')), DEFAULT_COMPILE_OPTIONS, first);
  t.not(moved.mesh.endpoints.get('shop/reviews:80'), first.mesh.endpoints.get('shop/reviews:80'));
  t.equal(moved.mesh.endpoints.get('shop/details:80'), first.mesh.endpoints.get('shop/details:80'));
  t.equal(moved.mesh.services, first.mesh.services, 'a pod that moved changes no Service');
});

t.test('a name leads where the DNS of the namespace would', async (t) => {
  const { mesh } = compile(worldOf(SHOP), DEFAULT_COMPILE_OPTIONS);
  const found = (name: string, namespace = 'shop'): string | null => {
    const destination = lookup(mesh, name, namespace);
    if (destination === null) return null;
    if (destination.kind === 'service') return `${destination.service.name}:${destination.port.port}`;
    if (destination.kind === 'external') return `${destination.host}:${destination.port.port}`;
    return `${destination.workload.name} ${destination.address}:${destination.port} ${destination.protocol}`;
  };
  const same = ['reviews:80', 'reviews.shop:80', 'Reviews.shop.svc:80', 'reviews.shop.svc.cluster.local.:80'];
  t.same(
    [...same, '10.96.0.10:80', '[fd00::10]:80'].map((name) => found(name)),
    Array.from({ length: 6 }, () => 'reviews:80'),
  );
  t.same(
    ['reviews:80', 'reviews.shop:80', '10.1.0.1:8080', '10.1.0.1:9'].map((name) => found(name, 'web')),
    [null, 'reviews:80', 'reviews-1 10.1.0.1:8080 http', 'reviews-1 10.1.0.1:9 unknown'],
  );
  const unknown = [
    'reviews:81',
    'reviews',
    'reviews.svc:80',
    'a.reviews.shop:80',
    '10.96.0.10:81',
    '10.9.9.9:80',
    ':80',
    '',
  ];
  t.same(
    unknown.map((name) => found(name)),
    unknown.map(() => null),
  );
});

const GRANTED = `
apiVersion: v1
kind: Service
metadata: { name: web, namespace: web }
spec: { ports: [{ name: http, port: 80 }] }
---
apiVersion: v1
kind: Service
metadata: { name: api, namespace: shop }
spec: { ports: [{ name: http, port: 80 }] }
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: web, namespace: web }
spec:
  parentRefs: [{ group: "", kind: Service, name: web }]
  rules: [{ backendRefs: [{ name: api, namespace: shop, port: 80 }] }]
`;
const GRANT = `
---
apiVersion: gateway.networking.k8s.io/v1
kind: ReferenceGrant
metadata: { name: web, namespace: shop }
spec: { from: [{ group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: web }], to: [{ group: "", kind: Service }] }
`;

function resolved({ mesh, conditions }: Compiled): unknown {
  return [
    conditions.get('HTTPRoute web/web')?.parents[0]?.conditions.find(({ type }) => type === 'ResolvedRefs')?.reason,
    mesh.services.get('web/web')?.ports[0]?.routes[0]?.action.kind,
  ];
}

t.test('a reference across namespaces follows its grant, when that comes and when it goes', async (t) => {
  const without = compile(worldOf(GRANTED), DEFAULT_COMPILE_OPTIONS);
  const granted = compile(worldOf(GRANTED + GRANT), DEFAULT_COMPILE_OPTIONS, without);
  const revoked = compile(worldOf(GRANTED), DEFAULT_COMPILE_OPTIONS, granted);
  t.same([without, granted, revoked].map(resolved), [
    ['RefNotPermitted', 'unavailable'],
    ['ResolvedRefs', 'forward'],
    ['RefNotPermitted', 'unavailable'],
  ]);
});

/** What the status of such a policy complains of. */
function complaints(loadBalancer: string): readonly string[] {
  const world = worldOf(`
apiVersion: v1
kind: Service
metadata: { name: web, namespace: shop }
spec: { ports: [{ name: http, port: 80, appProtocol: http }] }
---
apiVersion: tulle.dev/v1alpha1
kind: TrafficPolicy
metadata: { name: web, namespace: shop }
spec: { targetRefs: [{ group: '', kind: Service, name: web }], loadBalancer: ${loadBalancer} }
`);
  return troubleOf(compile(world, DEFAULT_COMPILE_OPTIONS).conditions);
}

t.test('a field that the balancer beside it does not look at is told to have no effect', async (t) => {
  t.match(complaints('{ policy: RoundRobin, hashOn: [{ header: x-user }] }'), [
    /InForce=False NoEffect: spec\.loadBalancer\.hashOn has no effect with RoundRobin, but with RingHash, Maglev/,
  ]);
  t.match(complaints('{ policy: Maglev, slowStart: 10s }'), [/slowStart has no effect with Maglev, but with PeakEwma/]);
  t.same(complaints('{ policy: Maglev, hashOn: [{ header: x-user }] }'), []);
  t.same(complaints('{ hashOn: [{ header: x-user }] }'), [], 'another policy may name the balancer');
});
