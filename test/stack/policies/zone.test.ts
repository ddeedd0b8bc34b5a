/** `loadBalancer.locality.prefer`, from manifest to the replicas that a client of one zone reaches. */
import t from 'tap';
import { replicas, type Replicas } from './replicas.ts';
import { policy, SERVICE } from './rig.ts';

const ADDRESSES = [101, 102, 103, 104].map((last) => `127.0.0.${last}`);
const NEAR = ADDRESSES.slice(0, 2);
/** The first two are in zone a, as the pod that asks. */
const ZONES = { fields: (address: string) => `zone: ${NEAR.includes(address) ? 'a' : 'b'}` };
const CLIENT = `
apiVersion: v1
kind: Pod
metadata: { name: web-1, namespace: shop, labels: { topology.kubernetes.io/zone: a } }
spec: { containers: [{ name: app, image: app }] }
---
`;
const PREFER = 'locality: { prefer: Zone }';

async function seen(r: Replicas, requests = 60): Promise<string[]> {
  const asked = Array.from({ length: requests }, () => r.ask());
  return [...new Set(await Promise.all(asked))].sort();
}

for (const name of ['PeakEwma', 'LeastRequest', 'RoundRobin', 'Random', 'RingHash', 'Maglev']) {
  t.test(`${name}: the replicas of its zone have it all, the others when these are gone`, async (t) => {
    const spec = `loadBalancer: { policy: ${name}, ${PREFER} }`;
    const r = await replicas(t, ADDRESSES, CLIENT + policy(SERVICE, spec), ADDRESSES, ZONES);
    t.same(await seen(r), NEAR);
    r.tell(ADDRESSES.slice(1));
    while ((await seen(r)).length !== 1);
    t.same(await seen(r), NEAR.slice(1), 'one is enough while it is well');
    r.tell(ADDRESSES.slice(2));
    while ((await seen(r)).includes(ADDRESSES[1]!));
    t.same(await seen(r), ADDRESSES.slice(2));
    r.tell(ADDRESSES);
    while (!(await seen(r)).includes(NEAR[0]!));
    t.same(await seen(r), NEAR);
  });
}

t.test('the zone that the sidecar is told counts where the pod has none', async (t) => {
  const manifests = policy(SERVICE, `loadBalancer: { ${PREFER} }`);
  const r = await replicas(t, ADDRESSES, manifests, ADDRESSES, { ...ZONES, zone: 'b' });
  t.same(await seen(r), ADDRESSES.slice(2));
});

t.test('the preference comes into force and goes while the sidecar runs', async (t) => {
  const r = await replicas(t, ADDRESSES, CLIENT, ADDRESSES, ZONES);
  t.same(await seen(r), ADDRESSES);
  r.mesh.write('policy.yaml', policy(SERVICE, `loadBalancer: { ${PREFER} }`));
  while ((await seen(r)).length !== 2);
  t.same(await seen(r), NEAR);
  r.mesh.write('policy.yaml', policy(SERVICE, 'loadBalancer: { locality: { prefer: None } }'));
  while ((await seen(r)).length !== 4);
  t.pass();
});

t.test('a replica of the zone that is ejected hands part of its requests to other zones', async (t) => {
  const spec = `loadBalancer: { policy: RoundRobin, ${PREFER} }, circuitBreaker: { outlier: { consecutiveErrors: 1 } }`;
  const r = await replicas(t, ADDRESSES, CLIENT + policy(SERVICE, spec), ADDRESSES, ZONES);
  t.same(await seen(r), NEAR);
  while ((await r.ask({ headers: { 'x-fail': NEAR[0]! } })) !== '503');
  // Shares are counted anew within 100 ms.
  while ((await seen(r)).every((one) => NEAR.includes(one)));
  // Few at once: one connection that a busy machine does not open in time ejects a replica of another zone too.
  const answers: string[] = [];
  for (let i = 0; i < 40; i++) answers.push(...(await Promise.all(Array.from({ length: 10 }, () => r.ask()))));
  const near = answers.filter((one) => one === NEAR[1]).length / 4;
  t.notOk(answers.includes(NEAR[0]!));
  const far = ADDRESSES.slice(2).map((address) => answers.filter((one) => one === address).length / 4);
  t.ok(near > 60 && near < 80, `1.4 times a half stays: ${near} %, and ${far.join(' and ')} % go elsewhere`);
});
