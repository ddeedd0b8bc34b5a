/** RequestMirror of HTTPRoute and GRPCRoute: copies go where they should, and the request never notices. */
import type { IncomingMessage } from 'node:http';
import t, { type Test } from 'tap';
import { until } from '../data-plane/rig.ts';
import { application, rig } from './rig.ts';

const ADDRESS = '127.0.0.42';

/** A Service outside of the mesh. */
function plain(name: string, port: number): string {
  return `
apiVersion: v1
kind: Service
metadata: { name: ${name}, namespace: shop }
spec: { ports: [{ name: http, port: 80, appProtocol: http }] }
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: { name: ${name}-1, namespace: shop, labels: { kubernetes.io/service-name: ${name} } }
addressType: IPv4
ports: [{ name: http, port: ${port} }]
endpoints: [{ addresses: [127.0.0.1], conditions: { ready: true } }]
---`;
}

function mirroring(mirrors: readonly string[], kind = 'HTTPRoute', matches = ''): string {
  const filters = mirrors.map((mirror) => `{ type: RequestMirror, requestMirror: ${mirror} }`).join(', ');
  return `
apiVersion: gateway.networking.k8s.io/v1
kind: ${kind}
metadata: { name: mirroring, namespace: shop }
spec:
  parentRefs: [{ group: '', kind: Service, name: echo }]
  rules: [{ ${matches} filters: [${filters}], backendRefs: [{ name: echo, port: 80 }] }]
---`;
}

const to = (name: string, more = ''): string => `{ backendRef: { name: ${name}, port: 80 }${more} }`;

/** Bodies by request. */
async function shadow(
  t: Test,
  status = 200,
): Promise<{ readonly port: number; readonly asked: IncomingMessage[]; readonly bodies: string[] }> {
  const bodies: string[] = [];
  const app = await application(t, (asked, answer) => {
    let text = '';
    asked.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
    asked.once('end', () => {
      bodies.push(text);
      answer.writeHead(status).end('nobody reads this');
    });
  });
  return { ...app, bodies };
}

t.test(
  'each mirror gets a copy, with its body and -shadow in its host; the answer is that of the backend',
  async (t) => {
    const [one, two] = [await shadow(t), await shadow(t, 500)];
    const manifests = plain('one', one.port) + plain('two', two.port) + mirroring([to('one'), to('two')]);
    const r = await rig(t, ADDRESS, manifests);
    const answer = await r.get('/a?b=1', { 'x-mine': 'yes' }, { method: 'POST', body: 'payload' });
    t.same([answer.status, answer.body], [200, 'hello']);
    await until(() => one.bodies.length === 1 && two.bodies.length === 1, 'both copies arrive');
    t.same([one.bodies, two.bodies], [['payload'], ['payload']]);
    t.match(one.asked[0], { url: '/a?b=1', method: 'POST', headers: { host: 'echo.shop-shadow', 'x-mine': 'yes' } });
    t.equal(r.asked[0]?.headers.host, 'echo.shop');
    await until(() => r.web.metric('tulle_mirrored_requests_total', 'outcome="answered"') === 2, 'both are counted');
  },
);

t.test('a share of requests is copied', async (t) => {
  const [one, two] = [await shadow(t), await shadow(t)];
  const shares = [to('one', ', percent: 20'), to('two', ', fraction: { numerator: 1, denominator: 2 }')];
  const r = await rig(t, ADDRESS, plain('one', one.port) + plain('two', two.port) + mirroring(shares));
  await Promise.all(Array.from({ length: 300 }, () => r.get('/')));
  const counted = (): number => r.web.metric('tulle_mirrored_requests_total', 'outcome="answered"');
  await until(() => counted() === one.bodies.length + two.bodies.length && counted() > 100, 'the copies arrive');
  t.ok(one.bodies.length > 30 && one.bodies.length < 95, `${one.bodies.length} of 300 for 20 %`);
  t.ok(two.bodies.length > 115 && two.bodies.length < 185, `${two.bodies.length} of 300 for a half`);
  t.equal(r.asked.length, 300);
});

t.test('a body over the bound is not copied, and arrives whole', async (t) => {
  const one = await shadow(t);
  const lengths: number[] = [];
  const r = await rig(t, ADDRESS, plain('one', one.port) + mirroring([to('one')]), (asked, answer) => {
    let length = 0;
    asked.on('data', (chunk: Buffer) => (length += chunk.length));
    asked.once('end', () => {
      lengths.push(length);
      answer.end('hello');
    });
  });
  t.equal((await r.get('/', {}, { method: 'POST', body: 'x'.repeat(200_000) })).status, 200);
  t.same(lengths, [200_000]);
  t.equal(r.web.metric('tulle_mirrored_requests_total', 'outcome="too_long"'), 1);
  t.equal(one.asked.length, 0);
});

t.test('a mirror that does not answer, or is not there, delays nothing', async (t) => {
  const silent = await application(t, () => undefined);
  const manifests = plain('silent', silent.port) + plain('gone', 1) + mirroring([to('silent'), to('gone')]);
  const r = await rig(t, ADDRESS, manifests);
  t.equal((await r.get('/')).status, 200);
  await until(() => silent.asked.length === 1, 'the copy arrives');
  await until(() => r.web.metric('tulle_mirrored_requests_total', 'outcome="failed"') === 1, 'the other failed');
  t.equal((await r.get('/')).status, 200);
});

t.test('a GRPCRoute mirrors too', async (t) => {
  const one = await shadow(t);
  const manifests = plain('one', one.port) + mirroring([to('one')], 'GRPCRoute');
  const r = await rig(t, ADDRESS, manifests);
  await r.get('/a.B/C', { 'content-type': 'application/grpc' }, { method: 'POST', body: '\0\0\0\0\0' });
  await until(() => one.bodies.length === 1, 'the copy arrives');
  t.same([one.asked[0]?.url, one.bodies], ['/a.B/C', ['\0\0\0\0\0']]);
});
