/** `retries` of TrafficPolicy, each field through a real control plane, sidecar and applications. */
import t from 'tap';
import { ok, policyRig, status, type Behave } from './rig.ts';

t.setTimeout(240_000);
const backoff = { base: '1ms' };

const unavailable: Behave = (_request, response) =>
  response.writeHead(200, { 'content-type': 'application/grpc', 'grpc-status': '14' }).end();

/** The first `count` requests are answered so, the others well. */
function first(count: number, behave: Behave): Behave {
  return (request, response, index) => (index < count ? behave : ok)(request, response, index);
}

const reset: Behave = (request) => request.socket.resetAndDestroy();

t.test('attempts: so many retries, and the last answer goes down', async (t) => {
  for (const attempts of [0, 1, 3]) {
    const rig = await policyRig(t, [status(503)], { retries: { attempts, retryOn: ['gateway-error'], backoff } });
    t.equal((await rig.ask()).status, 503);
    t.equal(rig.apps[0]!.requests, attempts + 1);
  }
});

t.test('retryOn: each condition has its outcomes, and no others', async (t) => {
  const outcomes = { 503: status(503), 500: status(500), 404: status(404), reset } as const;
  const cases: readonly (readonly [string, readonly (keyof typeof outcomes | 'reset')[]])[] = [
    ['gateway-error', [503, 'reset']],
    ['5xx', [503, 500, 'reset']],
    ['reset', ['reset']],
    ['connect-failure', []],
  ];
  for (const [condition, retried] of cases) {
    const rig = await policyRig(t, [ok], { retries: { attempts: 1, retryOn: [condition], methods: ['PUT'], backoff } });
    for (const [name, behave] of Object.entries(outcomes)) {
      const before = rig.apps[0]!.requests;
      rig.apps[0]!.behave = (request, response, index) => (index === before ? behave : ok)(request, response, index);
      // A PUT: what is safe is tried again after a reset by default.
      const answer = await rig.ask({ method: 'PUT', headers: { 'content-length': '0' } });
      const wanted = retried.some((one) => String(one) === name);
      t.equal(answer.status === 200, wanted, `${condition}, ${name}`);
    }
  }
});

t.test('statuses: with retriable-status, these and no others', async (t) => {
  const retries = { attempts: 1, retryOn: ['retriable-status'], statuses: [429], backoff };
  const rig = await policyRig(t, [first(1, status(429))], { retries });
  t.equal((await rig.ask()).status, 200);
  rig.apps[0]!.behave = status(503);
  t.equal((await rig.ask()).status, 503);
  t.equal(rig.apps[0]!.requests, 3);
});

t.test('methods: a POST is tried again only when they say so', async (t) => {
  const post = { method: 'POST', headers: { 'content-length': '0' } };
  const retries = { attempts: 1, retryOn: ['gateway-error'], backoff };
  const without = await policyRig(t, [first(1, status(503))], { retries });
  t.equal((await without.ask(post)).status, 503);
  const listed = await policyRig(t, [first(1, status(503))], { retries: { ...retries, methods: ['POST'] } });
  t.equal((await listed.ask(post)).status, 200);
  listed.apps[0]!.behave = status(503);
  t.equal((await listed.ask()).status, 503, 'and then a GET no more');
  t.equal(listed.apps[0]!.requests, 3);
});

t.test('idempotencyKeyHeader: a POST with its key is tried again', async (t) => {
  const retries = { attempts: 1, retryOn: ['gateway-error'], idempotencyKeyHeader: 'Idempotency-Key', backoff };
  const rig = await policyRig(t, [first(1, status(503))], { retries });
  const headers = { 'content-length': '0', 'idempotency-key': 'k1' };
  t.equal((await rig.ask({ method: 'POST', headers })).status, 200);
});

t.test('grpc: statuses of calls that are tried again', async (t) => {
  const asking = {
    method: 'POST',
    path: '/a.B/C',
    headers: { 'content-type': 'application/grpc', 'content-length': '0' },
  };
  const rig = await policyRig(t, [first(1, unavailable)], { retries: { attempts: 1, grpc: ['unavailable'], backoff } });
  t.equal((await rig.ask(asking)).headers['grpc-status'], undefined, 'the second answer, which has none');
  t.equal(rig.apps[0]!.requests, 2);
  const other = await policyRig(t, [unavailable], { retries: { attempts: 1, grpc: ['internal'], backoff } });
  t.equal((await other.ask(asking)).headers['grpc-status'], '14');
  t.equal(other.apps[0]!.requests, 1);
});

t.test('backoff: the wait before a retry grows from base to max', async (t) => {
  const timesMs: number[] = [];
  const noting: Behave = (request, response, index) => {
    timesMs.push(performance.now());
    status(503)(request, response, index);
  };
  const retries = { attempts: 6, retryOn: ['gateway-error'], backoff: { base: '40ms', max: '160ms' } };
  const rig = await policyRig(t, [ok], { retries });
  rig.apps[0]!.behave = noting;
  const waits: number[] = [];
  for (let i = 0; i < 5; i++) {
    timesMs.length = 0;
    await rig.ask();
    waits.push(...timesMs.slice(1).map((time, j) => time - timesMs[j]!));
  }
  const mean = waits.reduce((sum, wait) => sum + wait, 0) / waits.length;
  // Full jitter: half of 40, 120 and then 160 ms in the mean; with the default, 25 to 250 ms, or with none, it would be another.
  t.ok(mean > 30, `${mean} ms in the mean`);
  t.ok(Math.max(...waits) > 50, 'and some long ones');
});

t.test('budget: retries stay below their share of the requests', async (t) => {
  const budget = { percent: 20, minPerSecond: 0, interval: '10s' };
  const retries = { attempts: 1, retryOn: ['gateway-error'], backoff, budget };
  const rig = await policyRig(t, [status(503)], { retries });
  const before = rig.apps[0]!.requests;
  for (let i = 0; i < 50; i++) await rig.ask();
  const retried = rig.apps[0]!.requests - before - 50;
  t.ok(retried >= 5 && retried <= 11, `${retried} of 50`);
  const some = await policyRig(t, [status(503)], { retries: { ...retries, budget: { ...budget, minPerSecond: 3 } } });
  for (let i = 0; i < 10; i++) await some.ask();
  t.equal(some.apps[0]!.requests, 20, 'so many are let through however few requests there are');
});

t.test('a retry goes to another endpoint while there is one', async (t) => {
  const retries = { attempts: 1, retryOn: ['gateway-error'], backoff };
  const rig = await policyRig(t, [status(503), ok], { retries, loadBalancer: { policy: 'Random' } });
  for (let i = 0; i < 40; i++) t.equal((await rig.ask()).status, 200);
});
