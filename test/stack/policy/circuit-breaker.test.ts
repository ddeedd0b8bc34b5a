/**
 * `circuitBreaker.limits` and `circuitBreaker.outlier`, each field through a real control plane, sidecar and applications.
 */
import t from 'tap';
import { Gate, ok, policyRig, status, statuses, until } from './rig.ts';

t.setTimeout(120_000);
/** So that a bad endpoint gets its share whatever it is like. */
const loadBalancer = { policy: 'RoundRobin' };
const retries = { attempts: 0 };

t.test('limits.requests: more are answered at once, and counted as overflow', async (t) => {
  const gate = new Gate();
  const rig = await policyRig(t, [ok], { circuitBreaker: { limits: { requests: 3 } } });
  rig.apps[0]!.behave = gate.behave;
  const answers = Array.from({ length: 10 }, () => rig.ask());
  await until(() => gate.waiting === 3, 'three are under way');
  await until(async () => (await rig.metric('tulle_local_answers_total', 'overflow')) === 7, 'the others are answered');
  gate.open();
  const all = await Promise.all(answers);
  t.equal(all.filter(({ status: code, reason }) => code === 503 && reason === 'overflow').length, 7);
  t.equal(all.filter(({ status: code }) => code === 200).length, 3);
  t.equal(await rig.metric('tulle_requests_total', 'response_flags="UO"'), 7);
  rig.apps[0]!.behave = ok;
  t.equal((await rig.ask()).status, 200, 'and then it is open again');
});

t.test('limits.connections and limits.pendingRequests: who finds no connection waits, and not all may', async (t) => {
  const gate = new Gate();
  const spec = { circuitBreaker: { limits: { connections: 2, pendingRequests: 1 } } };
  const rig = await policyRig(t, [ok], spec);
  rig.apps[0]!.behave = gate.behave;
  const answers = [rig.ask()];
  await until(() => gate.waiting === 1, 'one has a connection');
  answers.push(rig.ask());
  await until(() => gate.waiting === 2, 'two have one each');
  // Of the others one may wait, whichever comes first.
  answers.push(...Array.from({ length: 4 }, () => rig.ask()));
  await until(async () => (await rig.metric('tulle_local_answers_total', 'overflow')) === 3, 'three find no room');
  t.equal(gate.waiting, 2);
  gate.open();
  await until(() => gate.waiting === 1, 'the one that waited has its turn');
  gate.open();
  const all = await Promise.all(answers);
  t.equal(all.filter(({ status: code }) => code === 200).length, 3);
  t.equal(all.filter(({ reason }) => reason === 'overflow').length, 3);
});

t.test('limits.requestsPerConnection: a connection is closed after so many', async (t) => {
  const rig = await policyRig(t, [ok], { circuitBreaker: { limits: { requestsPerConnection: 2 } } });
  t.same(await statuses(rig, 7), { 200: 7 });
  // The first one took the place of a connection that had carried one already.
  t.equal(rig.apps[0]!.connections, 3);
});

t.test(
  'outlier.consecutiveErrors: out after so many, back by one request, and for good when that one is well',
  async (t) => {
    const outlier = { consecutiveErrors: 3, ejection: { base: '400ms', max: '400ms' } };
    const rig = await policyRig(t, [ok, ok], { loadBalancer, retries, circuitBreaker: { outlier } });
    const [, bad] = rig.apps;
    bad!.behave = status(500);
    const seen = await statuses(rig, 30);
    t.equal(seen[500], 3, 'three errors, and no more');
    const out = (await rig.endpoints()).filter(({ available }) => !available);
    t.match(out, [{ port: bad!.port, ejected: 'consecutive_5xx' }]);
    t.equal(out.length, 1);
    t.equal(await rig.metric('tulle_outlier_ejections_total', 'consecutive_5xx'), 1);
    t.equal(await rig.metric('tulle_outlier_ejected'), 1);
    const gate = new Gate();
    const before = bad!.requests;
    bad!.behave = gate.behave;
    await until(async () => (await rig.endpoints()).every(({ available }) => available), 'its time is over');
    const answers = Array.from({ length: 20 }, () => rig.ask());
    await until(() => gate.waiting === 1, 'one request goes to see');
    const rest = await Promise.race([
      Promise.all(answers).then(() => 'all'),
      until(async () => (await rig.metric('tulle_requests_total', 'response_code="200"')) >= 19, 'the others').then(
        () => 'others',
      ),
    ]);
    t.equal(rest, 'others', 'while the others are answered elsewhere');
    t.equal(bad!.requests - before, 1);
    bad!.behave = ok;
    gate.open();
    t.same(new Set((await Promise.all(answers)).map(({ status: code }) => code)), new Set([200]));
    await until(async () => (await rig.metric('tulle_outlier_ejected')) === 0, 'it is back');
    const then = bad!.requests;
    await statuses(rig, 20);
    t.equal(bad!.requests - then, 10, 'with its whole share');
  },
);

t.test('outlier.consecutiveGatewayErrors: other errors do not count', async (t) => {
  const outlier = { consecutiveErrors: 0, consecutiveGatewayErrors: 2, ejection: { base: '1m' } };
  const rig = await policyRig(t, [ok, ok], { loadBalancer, retries, circuitBreaker: { outlier } });
  rig.apps[1]!.behave = status(500);
  t.same(await statuses(rig, 20), { 200: 10, 500: 10 });
  rig.apps[1]!.behave = status(503);
  t.same(await statuses(rig, 20), { 200: 18, 503: 2 });
  t.equal(await rig.metric('tulle_outlier_ejections_total', 'consecutive_gateway_failure'), 1);
});

t.test('outlier.successRate: judged by its share in an interval, if it had enough requests', async (t) => {
  const successRate = { below: 80, minRequests: 10 };
  const outlier = { consecutiveErrors: 0, successRate, interval: '500ms', ejection: { base: '1m' } };
  const rig = await policyRig(t, [ok, ok], { loadBalancer, retries, circuitBreaker: { outlier } });
  rig.apps[1]!.behave = (request, response, count) => (count % 2 === 0 ? ok : status(500))(request, response, count);
  await until(async () => {
    await statuses(rig, 10);
    return (await rig.metric('tulle_outlier_ejections_total', 'failure_percentage')) === 1;
  }, 'it is ejected');
  t.same(await statuses(rig, 10), { 200: 10 });
});

t.test('outlier.keepEndpoints: as many stay, however bad all are', async (t) => {
  const outlier = { consecutiveErrors: 1, keepEndpoints: 2, ejection: { base: '1m' } };
  const spec = { loadBalancer, retries, circuitBreaker: { outlier } };
  const rig = await policyRig(t, [ok, ok, ok, ok], spec);
  for (const app of rig.apps) app.behave = status(500);
  await statuses(rig, 20);
  t.equal((await rig.endpoints()).filter(({ available }) => available).length, 2);
});

t.test('without outlier nobody is ejected, and {} means all defaults', async (t) => {
  const rig = await policyRig(t, [ok, ok], { loadBalancer, retries });
  rig.apps[1]!.behave = status(500);
  t.same(await statuses(rig, 20), { 200: 10, 500: 10 });
  await rig.change({ loadBalancer, retries, circuitBreaker: { outlier: {} } });
  t.same(await statuses(rig, 30), { 200: 25, 500: 5 });
});

t.test('a connection that is refused counts like an error, and retries find the others meanwhile', async (t) => {
  const outlier = { consecutiveErrors: 2, ejection: { base: '1m' } };
  const rig = await policyRig(t, [ok, (request) => request.socket.destroy()], {
    loadBalancer,
    circuitBreaker: { outlier },
  });
  t.same(await statuses(rig, 20), { 200: 20 });
  t.equal(await rig.metric('tulle_outlier_ejected'), 1);
});
