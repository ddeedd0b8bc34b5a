/** `timeouts` of TrafficPolicy, each field through a real control plane, sidecar and applications. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import t, { type Test } from 'tap';
import { manifestOf, serviceAt } from '../../support/manifests.ts';
import { Gate, ok, policyRig, type Answer, type PolicyRig } from './rig.ts';

t.setTimeout(120_000);
const retries = { attempts: 0 };

async function timed(
  rig: PolicyRig,
  asking: Parameters<PolicyRig['ask']>[0] = {},
): Promise<Answer & { tookMs: number }> {
  const start = performance.now();
  const answer = await rig.ask(asking);
  return { ...answer, tookMs: performance.now() - start };
}

t.test('timeouts.request: from the head to the end of the tries, and the answer says which it was', async (t) => {
  const gate = new Gate();
  const rig = await policyRig(t, [ok], { retries, timeouts: { request: '150ms' } });
  rig.apps[0]!.behave = gate.behave;
  const answer = await timed(rig);
  t.match(answer, { status: 504, reason: 'request-timeout' });
  t.ok(answer.tookMs >= 150, `${answer.tookMs} ms`);
});

t.test('timeouts.request: an answer that has begun is not cut, however long it takes', async (t) => {
  const rig = await policyRig(t, [ok], { timeouts: { request: '100ms' } });
  rig.apps[0]!.behave = (_request, response) => {
    response.write('first,');
    setTimeout(() => response.end('last'), 400);
  };
  t.match(await rig.ask(), { status: 200, body: 'first,last' });
});

t.test('timeouts.perTry: a try that says nothing is over, and another one answers within the request', async (t) => {
  const gate = new Gate();
  const spec = {
    retries: { attempts: 1, retryOn: ['gateway-error'], backoff: { base: '1ms' } },
    timeouts: { perTry: '120ms' },
  };
  const rig = await policyRig(t, [ok], spec);
  rig.apps[0]!.behave = (request, response, count) => (count === 0 ? gate.behave : ok)(request, response, count);
  const answer = await timed(rig);
  t.equal(answer.status, 200);
  t.ok(answer.tookMs >= 120, `${answer.tookMs} ms`);
  t.equal(rig.apps[0]!.requests, 2);
  await rig.change({ ...spec, retries });
  rig.apps[0]!.behave = gate.behave;
  t.match(await rig.ask(), { status: 504, reason: 'per-try-timeout' }, 'without a retry it is the answer');
});

t.test('timeouts.idle: nothing that moves is cut, what stands still is', async (t) => {
  const rig = await policyRig(t, [ok], { retries, timeouts: { idle: '250ms' } });
  rig.apps[0]!.behave = (_request, response) => {
    let pieces = 0;
    const timer = setInterval(() => {
      response.write('piece,');
      if (++pieces < 5) return;
      clearInterval(timer);
      response.end('end');
    }, 100);
  };
  t.match(await rig.ask(), { status: 200, body: /piece,end$/ });
  rig.apps[0]!.behave = (_request, response) => void response.write('and then silence');
  const cut = await timed(rig);
  t.equal(cut.status, 0, 'the answer does not end well');
  t.ok(cut.tookMs >= 250, `${cut.tookMs} ms`);
});

/** A port whose queue is full: nobody there answers a SYN. */
async function silentPort(t: Test): Promise<number> {
  const listen =
    "require('net').createServer().listen({ port: 0, host: '127.0.0.1', backlog: 1 }, function () { console.log(this.address().port) })";
  const child = spawn(process.execPath, ['-e', listen], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.teardown(() => child.kill('SIGKILL'));
  const port = Number(String(((await once(child.stdout, 'data')) as [Buffer])[0]));
  child.kill('SIGSTOP');
  for (let i = 0; i < 4; i++) {
    const socket = connect(port, '127.0.0.1').on('error', () => undefined);
    t.teardown(() => socket.destroy());
  }
  // Those that found room are connected; the others wait for an answer to their SYN, as all who come later do.
  await new Promise((resolve) => setTimeout(resolve, 50));
  return port;
}

t.test('timeouts.connect: a host that does not answer is given up in time', async (t) => {
  const port = await silentPort(t);
  const rig = await policyRig(t, [ok], { retries });
  const policy = {
    apiVersion: 'tulle.dev/v1alpha1',
    kind: 'TrafficPolicy',
    metadata: { name: 'silent', namespace: 'default' },
    spec: {
      targetRefs: [{ group: '', kind: 'Service', name: 'silent' }],
      retries,
      timeouts: { connect: '200ms' },
    },
  };
  rig.mesh.write('silent.yaml', manifestOf([...serviceAt('silent', [port]), policy]));
  const headers = { host: 'silent.default:80' };
  let answer = await timed(rig, { headers });
  // Until the mesh knows it, the name is asked for elsewhere.
  while (answer.body.includes('ENOTFOUND')) answer = await timed(rig, { headers });
  t.match(answer, { status: 503, reason: 'connect-timeout' });
  t.ok(answer.tookMs >= 200 && answer.tookMs < 900, `${answer.tookMs} ms, where the default is a second`);
});
