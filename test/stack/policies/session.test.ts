/** `sessionPersistence` of an HTTPRoute (GEP-1619), from manifest to the replica that a client stays with. */
import t from 'tap';
import { replicas, type Replicas } from './replicas.ts';
import { policy, SERVICE } from './rig.ts';

const ADDRESSES = [131, 132, 133, 134].map((last) => `127.0.0.${last}`);
const ASKED = 12;

function route(session: string, more = 'backendRefs: [{ name: echo, port: 80 }]'): string {
  return `
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: echo, namespace: shop }
spec:
  parentRefs: [{ group: '', kind: Service, name: echo, port: 80 }]
  rules: [{ matches: [{ path: { value: /cart } }], sessionPersistence: { ${session} }, ${more} }]
---
`;
}

/** The cookie that an answer sets, in its parts; the first is `name=value`. */
function cookieOf(headers: Awaited<ReturnType<Replicas['get']>>['headers']): readonly string[] {
  const [line = '', ...more] = headers['set-cookie'] ?? [];
  if (more.length > 0) throw new Error('two cookies');
  return line === '' ? [] : line.split('; ');
}

/** Who answers further requests with this header. */
async function seen(r: Replicas, headers: Readonly<Record<string, string>>): Promise<string[]> {
  const asked = Array.from({ length: ASKED }, () => r.ask({ path: '/cart/1', headers }));
  return [...new Set(await Promise.all(asked))].sort();
}

t.test('a cookie keeps a client with the replica that answered first', async (t) => {
  const r = await replicas(t, ADDRESSES, route('sessionName: basket'));
  const clients = await Promise.all(Array.from({ length: 16 }, () => r.get({ path: '/cart/1' })));
  t.ok(new Set(clients.map(({ said }) => said)).size > 1, 'without a cookie anybody answers');
  for (const { said, headers } of clients.slice(0, 4)) {
    const [pair = '', ...attributes] = cookieOf(headers);
    t.match(pair, /^basket=[\w-]+$/);
    t.same(attributes, ['Path=/cart', 'HttpOnly']);
    t.same(await seen(r, { cookie: `theme=dark; ${pair}` }), [said]);
    t.notOk((await r.get({ path: '/cart/1', headers: { cookie: pair } })).headers['set-cookie'], 'it has it already');
  }
});

t.test('a name is made where none is given, and what is no token of ours is none', async (t) => {
  const r = await replicas(t, ADDRESSES, route('type: Cookie'));
  const [pair = ''] = cookieOf((await r.get({ path: '/cart' })).headers);
  t.match(pair, /^tulle-session-[\da-f]{8}=/);
  const [name = ''] = pair.split('=');
  for (const value of ['', 'x', 'A'.repeat(4000), '%%%', Buffer.from('a|b|c|d|e').toString('base64url')]) {
    const { said, headers } = await r.get({ path: '/cart', headers: { cookie: `${name}=${value}` } });
    t.ok(ADDRESSES.includes(said), JSON.stringify(value));
    t.ok(cookieOf(headers)[0]?.startsWith(`${name}=`), 'and gets a new one');
  }
});

t.test('a header does the same', async (t) => {
  const r = await replicas(t, ADDRESSES, route('type: Header, sessionName: X-Basket'));
  const { said, headers } = await r.get({ path: '/cart' });
  const token = String(headers['x-basket']);
  t.notOk(headers['set-cookie']);
  t.same(await seen(r, { 'x-basket': token }), [said]);
});

t.test('when the replica is gone, ejected or fails its checks, another one answers with a new token', async (t) => {
  const spec = 'healthCheck: { http: { path: /healthz }, interval: 500ms, unhealthyThreshold: 1 }';
  const manifests = route('sessionName: basket') + policy(SERVICE, spec);
  const r = await replicas(t, ADDRESSES, manifests);
  const first = await r.get({ path: '/cart' });
  const [pair = ''] = cookieOf(first.headers);
  r.health.set(first.said, 500);
  while ((await seen(r, { cookie: pair })).includes(first.said));
  const second = await r.get({ path: '/cart', headers: { cookie: pair } });
  const [next = ''] = cookieOf(second.headers);
  t.not(next, pair);
  t.same(await seen(r, { cookie: next }), [second.said]);
  r.tell(ADDRESSES.filter((address) => address !== second.said));
  while ((await seen(r, { cookie: next })).includes(second.said));
  t.not(cookieOf((await r.get({ path: '/cart', headers: { cookie: next } })).headers)[0], next);
});

t.test('absoluteTimeout ends a session, and a permanent cookie lives as long', async (t) => {
  const config = 'absoluteTimeout: 2s, cookieConfig: { lifetimeType: Permanent }';
  const r = await replicas(t, ADDRESSES, route(`sessionName: basket, ${config}`));
  const [pair = '', ...attributes] = cookieOf((await r.get({ path: '/cart' })).headers);
  t.same(attributes, ['Path=/cart', 'Max-Age=2', 'HttpOnly']);
  let told: readonly string[] = [];
  while (told.length === 0) {
    told = cookieOf((await r.get({ path: '/cart', headers: { cookie: pair } })).headers);
    await r.sidecar.settled();
  }
  t.not(told[0], pair, 'a new session, though the cookie came');
});

t.test('idleTimeout ends a session that is not used; one that is gets its token renewed', async (t) => {
  const r = await replicas(t, ADDRESSES, route('sessionName: basket, idleTimeout: 5s'));
  const first = await r.get({ path: '/cart' });
  let [pair = ''] = cookieOf(first.headers);
  let renewed = 0;
  while (renewed < 2) {
    const { said, headers } = await r.get({ path: '/cart', headers: { cookie: pair } });
    t.equal(said, first.said);
    const [next] = cookieOf(headers);
    if (next !== undefined) {
      renewed++;
      pair = next;
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
});

t.test('weights count for new sessions only', async (t) => {
  const backends = 'backendRefs: [{ name: echo, port: 80, weight: 1 }, { name: other, port: 80, weight: 99 }]';
  const other = `
apiVersion: v1
kind: Service
metadata: { name: other, namespace: shop }
spec: { ports: [{ name: http, port: 80, appProtocol: http }] }
`;
  const r = await replicas(t, ADDRESSES, route('sessionName: basket') + other);
  const { said, headers } = await r.get({ path: '/cart' });
  const [pair = ''] = cookieOf(headers);
  r.mesh.write('more.yaml', route('sessionName: basket', backends) + other);
  while ((await r.ask({ path: '/cart' })) !== '503');
  t.same(await seen(r, { cookie: pair }), [said], 'though nearly all new ones go to a Service without endpoints');
});
