/** `tulle explain --request-id` and `tulle requests`: what a sidecar remembers of real requests, as the command tells it. */
import t, { type Test } from 'tap';
import { happened } from '../../../cli/explain/command.ts';
import type { Sighting } from '../../../cli/explain/happened.ts';
import { ok, policyRig, status, type Behave, type PolicyRig } from './rig.ts';

t.setTimeout(60_000);

interface Told {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

async function tell(rig: PolicyRig, id: string, output: 'text' | 'json' = 'text'): Promise<Told> {
  const [out, err]: [string[], string[]] = [[], []];
  const streams = { out: (line: string) => void out.push(line), err: (line: string) => void err.push(line) };
  const code = await happened(id, { output, stateDir: '', admin: [`127.0.0.1:${rig.sidecar.adminPort}`] }, streams);
  return { code, out: out.join('\n'), err: err.join('\n') };
}

const spec = { retries: { attempts: 2, retryOn: ['gateway-error'] }, loadBalancer: { policy: 'RoundRobin' } };

/** Two replicas that answer `flaky` with 503 for its first try, whichever of them it meets. */
async function retried(t: Test): Promise<PolicyRig> {
  let hasFailed = false;
  const behave: Behave = (request, response, count) => {
    const fails = request.headers['x-request-id'] === 'flaky' && !hasFailed;
    hasFailed ||= fails;
    (fails ? status(503) : ok)(request, response, count);
  };
  const rig = await policyRig(t, [behave, behave], spec);
  for (const id of ['flaky', 'smooth']) t.equal((await rig.ask({ headers: { 'x-request-id': id } })).status, 200);
  return rig;
}

t.test('a request that was tried again is told try by try', async (t) => {
  const rig = await retried(t);
  const [story] = JSON.parse((await tell(rig, 'flaky', 'json')).out) as readonly Sighting[];
  const [first, second] = story?.tries ?? [];
  t.same([first?.outcome, second?.outcome, story?.tries.length], ['503', '200', 2]);
  const ports = new Set(rig.apps.map(({ port }) => `127.0.0.1:${port}`));
  t.same(new Set([first?.endpoint, second?.endpoint]), ports, 'on each replica');
  t.ok(first!.untilMs <= second!.fromMs && second!.untilMs <= story!.durationMs, 'one after the other');
  const { code, out } = await tell(rig, 'flaky');
  t.equal(code, 0);
  t.match(out, 'request flaky');
  t.match(out, /try 1 .*503 +tried again\n.*try 2 .* 200$/m);
  t.match((await tell(rig, 'smooth')).out, /try 1 .* 200$/m);
});

t.test('the list of what went wrong holds the one that was tried again, and not the other', async (t) => {
  const rig = await retried(t);
  const { out } = await tell(rig, '');
  t.equal(out.split('\n').length, 2, 'its head and one line');
  t.match(out, /GET web\.default:80\/ .*200 +2 tries .* flaky$/m);
});

t.test('an answer of the sidecar itself names the id by which it is remembered', async (t) => {
  const rig = await policyRig(t, [], spec);
  const answer = await rig.ask();
  t.equal(answer.status, 503);
  const id = String(answer.headers['x-request-id']);
  const { out } = await tell(rig, id);
  t.match(out, `503 (${answer.reason})`);
  t.match(out, 'no endpoint became ready');
});

t.test('what nobody remembers is said to be so, and a sidecar that does not answer is named', async (t) => {
  const rig = await policyRig(t, [ok], spec);
  const { code, err } = await tell(rig, 'never-seen');
  t.equal(code, 1);
  t.match(err, 'no sidecar remembers never-seen');
  const lines: string[] = [];
  const streams = { out: (line: string) => void lines.push(line), err: (line: string) => void lines.push(line) };
  await happened('', { output: 'text', stateDir: '', admin: ['127.0.0.1:1'] }, streams);
  t.match(lines, ['the sidecar of 127.0.0.1:1 does not answer']);
});
