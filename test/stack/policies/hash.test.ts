/** `loadBalancer.policy: RingHash | Maglev` with `hashOn`, from manifest to endpoint. */
import t from 'tap';
import { replicas, type Asked } from './replicas.ts';
import { policy, SERVICE } from './rig.ts';

const ADDRESSES = [71, 72, 73, 74].map((last) => `127.0.0.${last}`);
const USERS = Array.from({ length: 120 }, (_, i) => `user-${i}`);

const KINDS: readonly { readonly on: string; readonly asked: (user: string) => Asked }[] = [
  { on: 'header: X-User', asked: (user) => ({ headers: { 'x-user': user } }) },
  { on: 'cookie: session', asked: (user) => ({ headers: { cookie: `theme=dark; session=${user}` } }) },
  { on: 'queryParam: user', asked: (user) => ({ path: `/list?page=1&user=${user}` }) },
  { on: 'sourceAddress: true', asked: (user) => ({ from: `127.0.3.${Number(user.slice(5)) + 1}` }) },
];

for (const name of ['RingHash', 'Maglev']) {
  for (const { on, asked } of KINDS) {
    t.test(`${name} on ${on}: each value has its replica, and all replicas have some`, async (t) => {
      const r = await replicas(t, ADDRESSES, policy(SERVICE, `loadBalancer: { policy: ${name}, hashOn: [{ ${on} }] }`));
      const first = await Promise.all(USERS.map((user) => r.ask(asked(user))));
      for (let i = 0; i < 3; i++) t.same(await Promise.all(USERS.map((user) => r.ask(asked(user)))), first);
      t.same([...new Set(first)].sort(), ADDRESSES);
    });
  }
}

t.test('of several the first that a request has counts alone', async (t) => {
  const on = 'hashOn: [{ cookie: session }, { header: x-user }]';
  const r = await replicas(t, ADDRESSES, policy(SERVICE, `loadBalancer: { policy: Maglev, ${on} }`));
  for (const user of USERS) {
    const byHeader = await r.ask({ headers: { 'x-user': user } });
    const byCookie = await r.ask({ headers: { cookie: `session=${user}` } });
    t.equal(byCookie, byHeader, 'the same value, wherever it stands');
    t.equal(await r.ask({ headers: { cookie: `session=${user}`, 'x-user': 'else' } }), byCookie);
  }
});

t.test('requests without a value go anywhere, and so do all without hashOn', async (t) => {
  for (const spec of [
    'loadBalancer: { policy: RingHash, hashOn: [{ header: x-user }] }',
    'loadBalancer: { policy: Maglev }',
  ]) {
    const r = await replicas(t, ADDRESSES, policy(SERVICE, spec));
    const seen = new Set<string>();
    for (let i = 0; i < 60; i++) seen.add(await r.ask());
    t.equal(seen.size, 4, spec);
  }
});

t.test('hashOn comes into force and goes while the sidecar runs', async (t) => {
  const r = await replicas(t, ADDRESSES, '');
  const asks = (): Promise<string[]> =>
    Promise.all(Array.from({ length: 30 }, () => r.ask({ headers: { 'x-user': 'a' } })));
  t.ok(new Set(await asks()).size > 1);
  r.mesh.write('policy.yaml', policy(SERVICE, 'loadBalancer: { policy: RingHash, hashOn: [{ header: x-user }] }'));
  while (new Set(await asks()).size > 1) await r.sidecar.settled();
  r.mesh.write('policy.yaml', policy(SERVICE, 'loadBalancer: { policy: RoundRobin }'));
  while (new Set(await asks()).size === 1) await r.sidecar.settled();
  t.pass();
});
