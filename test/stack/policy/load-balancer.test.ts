/** `loadBalancer.policy` of TrafficPolicy: each chooses as its name says, through a real control plane, sidecar and applications. */
import t from 'tap';
import { Gate, ok, policyRig, until, type PolicyRig } from './rig.ts';

t.setTimeout(120_000);

function requests({ apps }: PolicyRig): readonly number[] {
  return apps.map((app) => app.requests);
}

t.test('RoundRobin: in turns', async (t) => {
  const rig = await policyRig(t, [ok, ok, ok], { loadBalancer: { policy: 'RoundRobin' } });
  for (let i = 0; i < 30; i++) await rig.ask();
  t.same(requests(rig), [10, 10, 10]);
});

t.test('Random: all of them, and not in turns', async (t) => {
  const rig = await policyRig(t, [ok, ok], { loadBalancer: { policy: 'Random' } });
  const order: number[] = [];
  for (let i = 0; i < 60; i++) {
    const before = rig.apps[0]!.requests;
    await rig.ask();
    order.push(rig.apps[0]!.requests > before ? 0 : 1);
  }
  const repeats = order.filter((one, i) => one === order[i - 1]).length;
  t.ok(repeats > 10 && repeats < 50, `${repeats} of 60 went where the one before went`);
  t.ok(Math.min(...requests(rig)) > 12, requests(rig).join(', '));
});

t.test('LeastRequest: of two, the one with fewer requests under way', async (t) => {
  const gate = new Gate();
  const rig = await policyRig(t, [ok, ok], { loadBalancer: { policy: 'LeastRequest' } });
  rig.apps[0]!.behave = gate.behave;
  const held: Promise<unknown>[] = [];
  // Asked until one hangs: with two endpoints both are looked at each time.
  while (gate.waiting === 0) {
    held.push(rig.ask());
    await until(() => gate.waiting + rig.apps[1]!.requests >= held.length, 'each has arrived somewhere');
  }
  const before = rig.apps[1]!.requests;
  for (let i = 0; i < 40; i++) await rig.ask();
  t.equal(rig.apps[1]!.requests - before, 40, 'nothing goes where one hangs');
  gate.open();
  await Promise.all(held);
});

t.test('PeakEwma: where it is slow go few', async (t) => {
  const rig = await policyRig(t, [ok, ok], { loadBalancer: { policy: 'PeakEwma' } });
  rig.apps[0]!.behave = (_request, response) => void setTimeout(() => response.end('late'), 150);
  for (let i = 0; i < 10; i++) await Promise.all(Array.from({ length: 6 }, () => rig.ask()));
  const [slow = 0, fast = 0] = requests(rig);
  t.ok(slow * 2 < fast, `${slow} to the slow one, ${fast} to the other`);
});

t.test('a policy on a port takes the place of that on the whole Service', async (t) => {
  const rig = await policyRig(t, [ok, ok], { loadBalancer: { policy: 'Random' } });
  rig.mesh.write(
    'port.yaml',
    JSON.stringify({
      apiVersion: 'tulle.dev/v1alpha1',
      kind: 'TrafficPolicy',
      metadata: { name: 'port', namespace: 'default' },
      spec: {
        targetRefs: [{ group: '', kind: 'Service', name: 'web', sectionName: 'main' }],
        loadBalancer: { policy: 'RoundRobin' },
      },
    }),
  );
  const balancer = async (): Promise<string | undefined> => {
    const page = await fetch(`http://127.0.0.1:${rig.sidecar.adminPort}/clusters`);
    const clusters = (await page.json()) as readonly { readonly name: string; readonly balancer: string }[];
    return clusters.find(({ name }) => name.startsWith('web.'))?.balancer;
  };
  await until(async () => (await balancer()) === 'round-robin', 'it is in force');
  const before = requests(rig);
  for (let i = 0; i < 20; i++) await rig.ask();
  t.same(
    requests(rig).map((count, i) => count - before[i]!),
    [10, 10],
  );
});
