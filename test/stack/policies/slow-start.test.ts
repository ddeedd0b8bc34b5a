/** `loadBalancer.slowStart`, from manifest to a replica that is new. */
import t from 'tap';
import { replicas } from './replicas.ts';
import { policy, SERVICE } from './rig.ts';

const ADDRESSES = [81, 82, 83, 84].map((last) => `127.0.0.${last}`);
const NEW = '127.0.0.84';

/** What a replica that joins three others gets of the 300 requests after its first, in percent. */
async function shareOfNew(t: Parameters<typeof replicas>[0], spec: string): Promise<number> {
  const r = await replicas(t, ADDRESSES, policy(SERVICE, spec), ADDRESSES.slice(0, 3));
  t.ok(ADDRESSES.includes(await r.ask()), 'the first three are known');
  r.tell(ADDRESSES);
  // All are as slow as an endpoint counts that was not measured yet.
  const asks = (): Promise<string[]> =>
    Promise.all(Array.from({ length: 30 }, () => r.ask({ headers: { 'x-delay': '30' } })));
  while (!(await asks()).includes(NEW));
  let hits = 0;
  for (let i = 0; i < 10; i++) hits += (await asks()).filter((one) => one === NEW).length;
  return hits / 3;
}

for (const name of ['RoundRobin', 'LeastRequest', 'PeakEwma']) {
  t.test(`${name}: a replica that is new gets little at first`, async (t) => {
    const share = await shareOfNew(t, `loadBalancer: { policy: ${name}, slowStart: 5m }`);
    t.ok(share < 12, `${share} %`);
  });
}

t.test('without slowStart it has its whole share at once', async (t) => {
  const share = await shareOfNew(t, 'loadBalancer: { policy: RoundRobin }');
  t.ok(share > 22 && share < 28, `${share} %`);
});
