/** `fault` and `rateLimit` of TrafficPolicy, from manifest to answer. */
import { connect } from 'node:net';
import t from 'tap';
import { Wire } from '../../support/raw-http.ts';
import { policy, rig, SERVICE } from './rig.ts';

const ADDRESS = '127.0.0.41';

t.test('fault.abort answers in the place of the Service, and says why', async (t) => {
  const r = await rig(t, ADDRESS, policy(SERVICE, 'fault: { abort: { percent: 100, status: 418 } }'));
  const answer = await r.get('/');
  t.same([answer.status, answer.headers['tulle-reason']], [418, 'fault-abort']);
  t.equal(r.asked.length, 0);
  t.equal(r.web.metric('tulle_requests_total', 'response_code="418"', 'response_flags="FI"'), 1);
  t.equal(r.web.metric('tulle_local_answers_total', 'reason="fault-abort"'), 1);
});

t.test('fault.abort of a gRPC call is the status that clients make of the HTTP one', async (t) => {
  const r = await rig(t, ADDRESS, policy(SERVICE, 'fault: { abort: { percent: 100, status: 401 } }'));
  const answer = await r.get('/a.B/C', { 'content-type': 'application/grpc' });
  t.same([answer.status, answer.headers['grpc-status']], [200, '16']);
});

t.test('an answer 204 of ours has no byte of a body, and its connection goes on', async (t) => {
  const fault = "fault: { abort: { percent: 100, status: 204 }, headers: [{ name: x-chaos, value: 'on' }] }";
  const r = await rig(t, ADDRESS, policy(SERVICE, fault));
  const client = new Wire(connect(r.web.port('outbound'), '127.0.0.1'));
  t.teardown(() => client.socket.destroy());
  const ask = (more: string): void => client.write(`GET http://echo.shop/ HTTP/1.1\r\nhost: echo.shop\r\n${more}\r\n`);
  ask('x-chaos: on\r\n');
  await client.until((text) => text.includes('\r\n\r\n'));
  ask('');
  await client.until((text) => text.includes('hello'));
  const [first = '', second = ''] = client.text.split('\r\n\r\n');
  t.match(first, /^HTTP\/1\.1 204 /);
  t.notMatch(first, /content-length|transfer-encoding/i);
  t.match(second, /^HTTP\/1\.1 200 /, 'nothing stands between the two');
});

t.test('fault.delay makes requests wait, and they are told apart', async (t) => {
  const manifests = policy(
    SERVICE,
    'fault: { delay: { percent: 100, duration: 200ms } }, timeouts: { request: 150ms }',
  );
  const r = await rig(t, ADDRESS, manifests);
  const start = performance.now();
  const answer = await r.get('/');
  t.equal(answer.status, 200, 'the delay takes nothing of the timeout');
  t.ok(performance.now() - start >= 200, `${performance.now() - start} ms`);
  t.equal(r.web.metric('tulle_requests_total', 'response_code="200"', 'response_flags="DI"'), 1);
});

t.test('a share of requests has the fault, and no other', async (t) => {
  const r = await rig(t, ADDRESS, policy(SERVICE, 'fault: { abort: { percent: 30, status: 500 } }'));
  const answers = await Promise.all(Array.from({ length: 400 }, () => r.get('/')));
  const faulty = answers.filter(({ status }) => status === 500).length;
  t.ok(faulty > 80 && faulty < 160, `${faulty} of 400`);
  t.equal(r.asked.length, 400 - faulty);
});

t.test('fault.headers keep the fault to requests that ask for it', async (t) => {
  const fault = "fault: { abort: { percent: 100, status: 503 }, headers: [{ name: X-Chaos, value: 'on' }] }";
  const r = await rig(t, ADDRESS, policy(SERVICE, fault));
  t.equal((await r.get('/')).status, 200);
  t.equal((await r.get('/', { 'x-chaos': 'off' })).status, 200);
  t.equal((await r.get('/', { 'x-chaos': 'on' })).status, 503);
});

t.test('rateLimit lets so many through, and tells the rest when to come back', async (t) => {
  const r = await rig(t, ADDRESS, policy(SERVICE, 'rateLimit: { requests: 6, per: 60s, burst: 3 }'));
  for (let i = 0; i < 3; i++) t.equal((await r.get('/')).status, 200);
  const refused = await r.get('/');
  t.match(refused, {
    status: 429,
    headers: {
      'tulle-reason': 'rate-limited',
      'retry-after': /^(9|10)$/,
      'ratelimit-limit': '3',
      'ratelimit-remaining': '0',
      'ratelimit-reset': '30',
    },
  });
  t.equal(r.asked.length, 3);
  t.equal(
    r.echo.metric('tulle_requests_total', 'response_code="429"', 'response_flags="RL"'),
    1,
    'kept by the receiver',
  );
  const call = await r.get('/a.B/C', { 'content-type': 'application/grpc' });
  t.same([call.status, call.headers['grpc-status']], [200, '8']);
});

t.test('a rate limit comes into force and goes while the sidecar runs', async (t) => {
  const r = await rig(t, ADDRESS, '');
  t.equal((await r.get('/')).status, 200);
  r.mesh.write('limit.yaml', policy(SERVICE, 'rateLimit: { requests: 1, per: 1h }'));
  let status = 200;
  while (status === 200) ({ status } = await r.get('/'));
  t.equal(status, 429);
  r.mesh.write('limit.yaml', policy(SERVICE, 'rateLimit: { requests: 1000, per: 1h }'));
  while (status === 429) ({ status } = await r.get('/'));
  t.equal(status, 200);
});

t.test('each value of a header, each client and each path has a limit of its own', async (t) => {
  const key =
    'key: [{ header: X-User }, { clientIdentity: true }, { sourceAddress: true }, { pathTemplate: "/users/{id}" }]';
  const r = await rig(t, ADDRESS, policy(SERVICE, `rateLimit: { requests: 1, per: 1h, ${key} }`));
  const ask = async (path: string, user: string): Promise<number> => (await r.get(path, { 'x-user': user })).status;
  t.same([await ask('/users/1', 'a'), await ask('/users/1', 'a')], [200, 429]);
  t.equal(await ask('/users/1?q=1', 'a'), 429, 'the query is no part of the path');
  t.equal(await ask('/users/1', 'b'), 200);
  t.equal(await ask('/users/2', 'a'), 200);
  t.same([await ask('/other', 'a'), await ask('/other', 'a')], [200, 200], 'other paths are not limited');
});
