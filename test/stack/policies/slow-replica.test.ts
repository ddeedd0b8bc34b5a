/** What a replica that is slow does to the latency of all requests, by policy. */
import t, { type Test } from 'tap';
import { replicas } from './replicas.ts';
import { policy, SERVICE } from './rig.ts';

const ADDRESSES = [91, 92, 93, 94, 95].map((last) => `127.0.0.${last}`);
const REQUESTS = 500;
const AT_ONCE = 10;
/** Until each replica was measured: those count for nobody. */
const FIRST = 150;

/** Milliseconds that 99 of 100 requests stay under, with one slow replica of five. */
async function p99(t: Test, name: string): Promise<number> {
  const r = await replicas(t, ADDRESSES, policy(SERVICE, `loadBalancer: { policy: ${name} }`));
  const headers = { 'x-slow': ADDRESSES[2]!, 'x-delay': '5' };
  const taken: number[] = [];
  let left = FIRST + REQUESTS;
  const client = async (): Promise<void> => {
    while (left-- > 0) {
      const start = performance.now();
      await r.ask({ headers });
      taken.push(performance.now() - start);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, client));
  return taken.slice(FIRST).sort((a, b) => a - b)[Math.floor(REQUESTS * 0.99)] ?? 0;
}

/** Of two runs the better one: a machine that stands still for a moment does so in one of them. */
async function bestP99(t: Test, name: string): Promise<number> {
  return Math.min(await p99(t, name), await p99(t, name));
}

t.test('with one slow replica of five, PeakEwma halves the p99 of RoundRobin at least', async (t) => {
  const turns = await bestP99(t, 'RoundRobin');
  const ewma = await bestP99(t, 'PeakEwma');
  t.comment(`p99 ${turns.toFixed(1)} ms in turns, ${ewma.toFixed(1)} ms by peak EWMA`);
  t.ok(turns >= 2 * ewma, `${turns} ms against ${ewma} ms`);
});
