/** `retries.hedge`: another try beside a slow one, through a real control plane, sidecar and applications. */
import http from 'node:http';
import t from 'tap';
import { Gate, ok, policyRig, status, until, type Behave, type PolicyRig } from './rig.ts';

t.setTimeout(120_000);
const hedge = { after: '60ms' };
const spec = { loadBalancer: { policy: 'RoundRobin' }, retries: { attempts: 1, hedge } };

/** Two replicas: whichever is asked first keeps its answer back, the other one answers. */
async function firstIsSlow(t: Parameters<typeof policyRig>[0], more: object = {}): Promise<PolicyRig & { gate: Gate }> {
  const gate = new Gate();
  const rig = await policyRig(t, [ok, ok], { ...spec, ...more });
  let asked = 0;
  const behave: Behave = (request, response, count) => (asked++ === 0 ? gate.behave : ok)(request, response, count);
  for (const app of rig.apps) app.behave = behave;
  return { ...rig, gate };
}

t.test('a slow try is joined by one at another endpoint, whose answer counts; the slow one is given up', async (t) => {
  const rig = await firstIsSlow(t);
  const closed = Promise.race(
    rig.apps.map(
      (app) =>
        new Promise<void>((resolve) => {
          const { behave } = app;
          app.behave = (request, response, count) => {
            response.once('close', () => {
              if (!response.writableFinished) resolve();
            });
            behave(request, response, count);
          };
        }),
    ),
  );
  const start = performance.now();
  const answer = await rig.ask();
  const tookMs = performance.now() - start;
  t.same([answer.status, answer.body], [200, 'ok']);
  t.ok(tookMs >= 55 && tookMs < 5000, `${tookMs} ms`);
  t.same(
    rig.apps.map(({ requests }) => requests),
    [1, 1],
    'each replica was asked',
  );
  await closed;
  t.equal(await rig.metric('tulle_hedges_total', 'outcome="won"'), 1);
  t.equal(await rig.metric('tulle_retries_total'), 0, 'a hedge is no retry');
  t.equal(rig.gate.waiting, 1, 'the slow one never answered');
});

t.test('the answer of the first counts when it comes first, and there is one answer only', async (t) => {
  const rig = await firstIsSlow(t);
  const both = new Gate();
  for (const app of rig.apps) app.behave = both.behave;
  const answer = rig.ask();
  await until(() => both.waiting === 2, 'both tries are under way');
  both.open();
  t.equal((await answer).body, 'late');
  const [won, lost] = await Promise.all(['won', 'lost'].map((o) => rig.metric('tulle_hedges_total', `outcome="${o}"`)));
  t.equal(won! + lost!, 1);
  t.equal(
    await rig.metric('tulle_requests_total', 'response_code="200"', 'response_flags="-"'),
    2,
    'with that of the rig',
  );
});

t.test('a bad answer does not end a request while another try is under way', async (t) => {
  const gate = new Gate();
  const rig = await policyRig(t, [ok, ok], { ...spec, retries: { ...spec.retries, retryOn: ['gateway-error'] } });
  let asked = 0;
  const behave: Behave = (request, response, count) =>
    (asked++ === 0 ? gate.behave : status(503))(request, response, count);
  for (const app of rig.apps) app.behave = behave;
  const answer = rig.ask();
  await until(() => asked === 2, 'the hedge was refused');
  gate.open();
  t.same([(await answer).status, (await answer).body], [200, 'late']);
});

t.test('what may not be repeated is not sent twice, nor what has nowhere else to go', async (t) => {
  const rig = await firstIsSlow(t);
  const post = rig.ask({ method: 'POST', headers: { 'content-length': '0' } });
  await until(() => rig.gate.waiting === 1, 'the first try is under way');
  await new Promise((resolve) => setTimeout(resolve, 300));
  t.equal(
    rig.apps.reduce((sum, { requests }) => sum + requests, 0),
    1,
    'a POST',
  );
  rig.gate.open();
  t.equal((await post).body, 'late');

  const gate = new Gate();
  const alone = await policyRig(t, [ok], spec);
  alone.apps[0]!.behave = gate.behave;
  const answer = alone.ask();
  await until(() => gate.waiting === 1, 'its only endpoint is asked');
  await new Promise((resolve) => setTimeout(resolve, 300));
  t.equal(alone.apps[0]!.requests, 1);
  gate.open();
  t.equal((await answer).status, 200);
});

t.test('a POST with its idempotency key may', async (t) => {
  const retries = { ...spec.retries, idempotencyKeyHeader: 'idempotency-key' };
  const rig = await firstIsSlow(t, { retries });
  const headers = { 'content-length': '0', 'idempotency-key': 'k1' };
  t.equal((await rig.ask({ method: 'POST', headers })).body, 'ok');
});

t.test('hedges are paid from the budget of retries', async (t) => {
  const budget = { percent: 0, minPerSecond: 0 };
  const rig = await firstIsSlow(t, { retries: { ...spec.retries, budget } });
  const answer = rig.ask();
  await until(() => rig.gate.waiting === 1, 'the first try is under way');
  await new Promise((resolve) => setTimeout(resolve, 300));
  t.equal(
    rig.apps.reduce((sum, { requests }) => sum + requests, 0),
    1,
  );
  rig.gate.open();
  t.equal((await answer).body, 'late');
});

t.test('a client that goes away takes both tries with it', async (t) => {
  const rig = await firstIsSlow(t);
  const gate = new Gate();
  let closed = 0;
  for (const app of rig.apps) {
    app.behave = (request, response, count) => {
      response.once('close', () => closed++);
      gate.behave(request, response, count);
    };
  }
  const request = http.get({
    host: '127.0.0.1',
    port: rig.sidecar.proxyPort,
    path: '/',
    headers: { host: 'web.default:80' },
  });
  const gone = new Promise<void>((resolve) => void request.on('error', () => resolve()));
  await until(() => gate.waiting === 2, 'both tries are under way');
  // A client that ends may still read; one that resets does not.
  request.socket?.resetAndDestroy();
  await gone;
  await until(() => closed === 2, 'both are given up');
});
