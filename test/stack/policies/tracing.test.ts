/** `tracing.sampling` of TrafficPolicy, from manifest to the headers that the application gets. */
import t from 'tap';
import { policy, rig, SERVICE, type PolicyRig } from './rig.ts';

const ADDRESS = '127.0.0.46';
const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7';

/** Flags that the application was told, for each request in turn. */
function flags({ asked }: PolicyRig): readonly string[] {
  return asked.map(({ headers }) => String(headers['traceparent']).slice(-2));
}

t.test('without a policy no trace that begins here is sampled', async (t) => {
  const r = await rig(t, ADDRESS, '');
  await r.get('/');
  t.same(flags(r), ['02']);
});

t.test('a share of the traces that begin here is sampled', async (t) => {
  const r = await rig(t, ADDRESS, policy(SERVICE, 'tracing: { sampling: 30 }'));
  await Promise.all(Array.from({ length: 400 }, () => r.get('/')));
  const sampled = flags(r).filter((flag) => flag === '03').length;
  t.ok(sampled > 80 && sampled < 160, `${sampled} of 400`);
});

t.test('who brings a decision keeps it', async (t) => {
  const r = await rig(t, ADDRESS, policy(SERVICE, 'tracing: { sampling: 100 }'));
  await r.get('/', { traceparent: `00-${TRACE}-00` });
  await r.get('/', { b3: '0' });
  await r.get('/');
  t.same(flags(r), ['00', '00', '03']);
  t.match(r.asked[1]!.headers['b3'], /-0(-|$)/, 'in every form');
});

t.test('a trace that begins anew because its B3 header cannot be read is sampled in both forms', async (t) => {
  const r = await rig(t, ADDRESS, policy(SERVICE, 'tracing: { sampling: 100 }'));
  await r.get('/', { b3: 'nonsense' });
  t.same(flags(r), ['03']);
  t.match(r.asked[0]!.headers['b3'], /^[0-9a-f]{32}-[0-9a-f]{16}-1/);
});

t.test('a policy on a rule decides for its requests, and for no others', async (t) => {
  const route = `
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: echo, namespace: shop }
spec:
  parentRefs: [{ group: '', kind: Service, name: echo }]
  rules:
    - { name: all, matches: [{ path: { value: /all } }], backendRefs: [{ name: echo, port: 80 }] }
    - { name: rest, backendRefs: [{ name: echo, port: 80 }] }
---
`;
  const all = 'group: gateway.networking.k8s.io, kind: HTTPRoute, name: echo, sectionName: all';
  const r = await rig(t, ADDRESS, `${route}${policy(all, 'tracing: { sampling: 100 }')}`);
  for (const path of ['/all', '/other']) await r.get(path);
  t.same(flags(r), ['03', '02']);
});

t.test('a request of a client without sidecar is decided where it arrives', async (t) => {
  const r = await rig(t, ADDRESS, policy(SERVICE, 'tracing: { sampling: 100 }'));
  await r.get('/', { traceparent: `00-${TRACE}-00` });
  const answer = await fetch(`http://${ADDRESS}:${r.asked[0]!.socket.localPort}/`);
  t.equal(answer.status, 200);
  t.same(flags(r), ['00', '03']);
});
