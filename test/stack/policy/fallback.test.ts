/** `circuitBreaker.fallback`: what answers when the backend cannot, through a real control plane, sidecar and applications. */
import http from 'node:http';
import t, { type Test } from 'tap';
import { manifestOf, serviceAt } from '../../support/manifests.ts';
import { Gate, ok, policyRig, status, until, type PolicyRig } from './rig.ts';

t.setTimeout(120_000);
const retries = { attempts: 0 };
const response = {
  status: 200,
  headers: [{ name: 'X-Source', value: 'fallback' }],
  body: '[]',
};
const fixed = { fallback: { response } };

t.test('a response answers for a gateway error, and says in the place of what', async (t) => {
  const rig = await policyRig(t, [status(503)], { retries, circuitBreaker: fixed });
  const answer = await rig.ask();
  t.same([answer.status, answer.body], [200, '[]']);
  t.match(answer.headers, { 'x-source': 'fallback', 'tulle-fallback': '503' });
  t.ok((await rig.metric('tulle_fallbacks_total', 'reason="503"')) >= 1);
  rig.apps[0]!.behave = status(500);
  t.equal((await rig.ask()).status, 500, "an application's own error is its answer");
});

t.test('it answers once retries are exhausted, not before', async (t) => {
  const rig = await policyRig(t, [status(503)], {
    retries: { attempts: 2, retryOn: ['gateway-error'], backoff: { base: '1ms' } },
    circuitBreaker: fixed,
  });
  t.equal((await rig.ask()).status, 200);
  t.equal(rig.apps[0]!.requests, 3);
});

t.test('it answers where there is no endpoint, where the breaker is open, and in time', async (t) => {
  const none = await policyRig(t, [], { circuitBreaker: fixed });
  t.match(await none.ask(), { status: 200, headers: { 'tulle-fallback': 'no-healthy-endpoint' } });

  const gate = new Gate();
  const open = await policyRig(t, [ok], { retries, circuitBreaker: { ...fixed, limits: { requests: 1 } } });
  open.apps[0]!.behave = gate.behave;
  const first = open.ask();
  await until(() => gate.waiting === 1, 'the one request that may is under way');
  t.match(await open.ask(), { status: 200, headers: { 'tulle-fallback': 'overflow' } });
  t.equal(await open.metric('tulle_requests_total', 'response_flags="UO"'), 1, 'and the cause is counted');
  t.equal(await open.metric('tulle_fallbacks_total', 'reason="overflow"', 'cluster="web.default.'), 1);
  gate.open();
  t.equal((await first).body, 'late');

  const slow = await policyRig(t, [ok], { retries, circuitBreaker: fixed, timeouts: { request: '80ms' } });
  slow.apps[0]!.behave = gate.behave;
  t.match(await slow.ask(), { status: 200, headers: { 'tulle-fallback': 'request-timeout' } });
});

t.test('a gRPC call gets a status that its client reads', async (t) => {
  const rig = await policyRig(t, [status(503)], { retries, circuitBreaker: fixed });
  const answer = await rig.ask({ method: 'POST', path: '/a.B/C', headers: { 'content-type': 'application/grpc' } });
  t.match(answer, { status: 200, headers: { 'grpc-status': '14', 'x-source': 'fallback' } });
});

interface Backed extends PolicyRig {
  /** Of the fallback. */
  readonly asked: readonly { readonly method: string; readonly body: string }[];
}

/** A second Service, whose one application says what it was asked. */
async function backed(t: Test, behave: Parameters<typeof policyRig>[1], more: object = {}): Promise<Backed> {
  const asked: { method: string; body: string }[] = [];
  const server = http.createServer((request, answer) => {
    let body = '';
    request.setEncoding('utf8').on('data', (text: string) => (body += text));
    request.on('end', () => {
      asked.push({ method: request.method ?? '', body });
      answer.end('from the other');
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  const fallback = { backendRef: { name: 'other', port: 80 } };
  const rig = await policyRig(t, behave, { retries, circuitBreaker: {} });
  const { port } = server.address() as { port: number };
  rig.mesh.write('other.yaml', manifestOf(serviceAt('other', [port])));
  await rig.change({ retries, circuitBreaker: { fallback }, ...more });
  // What it is told to refer to comes a moment after the route.
  await until(async () => (await rig.ask()).body === 'from the other', 'the other Service is known');
  asked.length = 0;
  return { ...rig, asked };
}

t.test('another backend gets the request, with its body, and its answer says so', async (t) => {
  const rig = await backed(t, [status(503)]);
  const answer = await rig.ask({ method: 'PUT', headers: { 'content-length': '0' } });
  t.match(answer, { status: 200, body: 'from the other', headers: { 'tulle-fallback': '503' } });
  t.same(rig.asked, [{ method: 'PUT', body: '' }]);
});

t.test('what may have been done already is not done once more elsewhere, unless it never arrived', async (t) => {
  const rig = await backed(t, [status(503)]);
  t.equal((await rig.ask({ method: 'POST', headers: { 'content-length': '0' } })).status, 503);
  t.equal(rig.asked.length, 0);
});

t.test('a fallback that fails as well has no fallback of its own', async (t) => {
  const rig = await backed(t, [status(503)]);
  rig.mesh.write('other.yaml', '');
  await until(async () => (await rig.ask()).status === 503, 'the other Service is gone');
  t.equal((await rig.ask()).status, 503);
});

t.test('a backend that does not exist is said in the status, and the rest of the policy is in force', async (t) => {
  const fallback = { backendRef: { name: 'nobody', port: 80 } };
  const rig = await policyRig(t, [status(503)], { retries, circuitBreaker: { fallback } });
  t.equal((await rig.ask()).status, 503);
  t.match(rig.mesh.warnings.join('\n'), /ResolvedRefs=False BackendNotFound.*Service default\/nobody does not exist/);
});

t.test(
  'an endpoint that lets requests run out of time is ejected, although something else answers for it',
  async (t) => {
    const gate = new Gate();
    const outlier = { consecutiveErrors: 2, ejection: { base: '60s' } };
    const rig = await policyRig(t, [ok, ok], {
      retries,
      loadBalancer: { policy: 'RoundRobin' },
      timeouts: { request: '80ms' },
      circuitBreaker: { ...fixed, outlier },
    });
    rig.apps[0]!.behave = gate.behave;
    for (let i = 0; i < 6; i++) t.equal((await rig.ask()).status, 200);
    t.match(
      (await rig.endpoints()).filter(({ available }) => !available),
      [{ port: rig.apps[0]!.port }],
    );
  },
);
