/**
 * Half of the replicas fail, by 503 and by refused connections, and come back: what clients see, with the settings of docs/trafficpolicy.md
 * ("Half of the replicas failing"). Ejections and intervals last a tenth of those there, so that the way back is seen in seconds.
 */
import t from 'tap';
import { replicas, type Replicas } from './replicas.ts';
import { policy, SERVICE } from './rig.ts';

const ADDRESSES = [141, 142, 143, 144, 145, 146].map((last) => `127.0.0.${last}`);
const [SICK = '', ...GONE] = ADDRESSES.slice(0, 3);
const SETTINGS = `
  retries: { attempts: 2, retryOn: [gateway-error, connect-failure, reset] },
  circuitBreaker: { outlier: { consecutiveErrors: 3, interval: 1s, ejection: { base: 1s, max: 3s } } }`;
const CLIENTS = 14;
/** An application's, so that latencies differ by little. */
const DELAY_MS = 25;
/** An error among so many is 0.1 %. */
const REQUESTS = 1000;
const SHARED = 600;
const CALM_MS = 10_000;
const EVEN_MS = 30_000;

/** Answers to many clients at once: an address, or a status. */
async function load(r: Replicas, requests: number, headers: Readonly<Record<string, string>>): Promise<string[]> {
  const answers: string[] = [];
  let left = requests;
  const client = async (): Promise<void> => {
    while (left-- > 0) answers.push(await r.ask({ headers }).catch(() => 'broken'));
  };
  await Promise.all(Array.from({ length: CLIENTS }, client));
  return answers;
}

/** How far the replica is off its share that is the farthest, in percent of the share. */
function unevenness(answers: readonly string[]): number {
  const share = answers.length / ADDRESSES.length;
  const off = ADDRESSES.map((address) => Math.abs(answers.filter((one) => one === address).length - share) / share);
  return 100 * Math.max(...off);
}

/** Milliseconds until it holds, or Infinity. */
async function until(holds: () => Promise<boolean>, limitMs: number): Promise<number> {
  const startMs = performance.now();
  for (;;) {
    const isThere = await holds();
    const takenMs = performance.now() - startMs;
    if (isThere) return takenMs;
    if (takenMs > limitMs) return Infinity;
  }
}

t.setTimeout(120_000);

for (const balancer of ['PeakEwma', 'RoundRobin']) {
  t.test(`${balancer}: clients see next to nothing of it, and traffic is even again when they are back`, async (t) => {
    const r = await replicas(t, ADDRESSES, policy(SERVICE, `loadBalancer: { policy: ${balancer} }, ${SETTINGS}`));
    const well = { 'x-delay': String(DELAY_MS) };
    const failing = { ...well, 'x-fail': SICK };
    await load(r, 300, well);
    for (const address of GONE) r.stop(address);
    const errors: number[] = [];
    const calmMs = await until(async () => {
      const answers = await load(r, REQUESTS, failing);
      errors.push(answers.filter((one) => !ADDRESSES.includes(one)).length);
      return errors.at(-1) === 0;
    }, CALM_MS);
    t.comment(`${balancer}: errors of each ${REQUESTS} requests: ${errors.join(', ')}`);
    t.ok(calmMs < CALM_MS, 'less than 0.1 % of requests fail within 10 s');
    t.equal(r.sidecar.metric('tulle_outlier_ejected'), 3, 'all three are out');
    await Promise.all(GONE.map((address) => r.start(address)));
    const off: number[] = [];
    const evenMs = await until(async () => {
      off.push(unevenness(await load(r, SHARED, well)));
      return off.at(-1)! <= 25;
    }, EVEN_MS);
    t.comment(
      `${balancer}: farthest off of each ${SHARED} requests: ${off.map((one) => `${one.toFixed()} %`).join(', ')}`,
    );
    t.ok(evenMs < EVEN_MS, 'each replica has its share, by a quarter at most, well within a minute');
  });
}
