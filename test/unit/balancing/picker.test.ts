/** Whom the pickers choose: shares by weight, load and latency, and whom they leave alone. */
import t from 'tap';
import { PeakEwma } from '#base/ewma.ts';
import { randomInt, seededRandom } from '#base/random.ts';
import { linkPicker } from '../../../proxy/balancing/picker.ts';
import type { BalancerConfig } from '../../../proxy/config/balancers.ts';
import type { BalancedEndpoint } from '../../../proxy/exchange/destination.ts';

const EWMA: BalancerConfig = { kind: 'peak-ewma', defaultRttMs: 30, decayMs: 10_000 };
const ALL: readonly BalancerConfig[] = [EWMA, { kind: 'least-request' }, { kind: 'round-robin' }, { kind: 'random' }];

function endpoint(port: number, weight = 1, healthy = true): BalancedEndpoint {
  return {
    config: { address: '10.0.0.1', port, healthy, weight, zone: '', mtls: false, identity: '', workload: null },
    inFlight: 0,
    latency: new PeakEwma(30, 10_000, 0),
    sinceMs: 0,
    available: true,
    passing: true,
  };
}

/** Share of each endpoint in percent over 10,000 picks, nothing under way. */
function shares(
  config: BalancerConfig,
  endpoints: readonly BalancedEndpoint[],
  tried: readonly BalancedEndpoint[] = [],
): number[] {
  const picker = linkPicker(config, endpoints);
  const random = seededRandom(3);
  const counts = new Map<BalancedEndpoint | null, number>();
  for (let i = 0; i < 10_000; i++) {
    const picked = picker.pick(0, random, tried, null);
    counts.set(picked, (counts.get(picked) ?? 0) + 1);
  }
  return endpoints.map((one) => (counts.get(one) ?? 0) / 100);
}

function near(got: readonly number[], wanted: readonly number[], points: number): boolean {
  return got.every((share, index) => Math.abs(share - wanted[index]!) <= points);
}

t.test('each policy shares idle endpoints by weight, within a point over 10,000 picks', async (t) => {
  for (const config of ALL) {
    const even = shares(config, [endpoint(1), endpoint(2), endpoint(3), endpoint(4)]);
    t.ok(near(even, [25, 25, 25, 25], 1), `${config.kind} even: ${even.join(' ')}`);
    const uneven = shares(config, [endpoint(1, 50), endpoint(2, 30), endpoint(3, 15), endpoint(4, 5), endpoint(5, 0)]);
    // Two choices draw a pair, and a pair cannot hold the heaviest twice: the draw is by weight, equal costs go to the first.
    t.ok(near(uneven, [49.5, 29.7, 14.9, 5, 1], 1), `${config.kind} uneven: ${uneven.join(' ')}`);
  }
});

t.test('unhealthy, unavailable and tried endpoints are left alone while there are others', async (t) => {
  for (const config of ALL) {
    const [a, b, c, sick, out] = [endpoint(1), endpoint(2), endpoint(3), endpoint(4, 9, false), endpoint(5, 9)];
    out.available = false;
    const endpoints = [sick, a, out, b, c];
    const one = shares(config, endpoints, [a, b]);
    t.same(one, [0, 0, 0, 0, 100], `${config.kind}: the one that is left`);
    const again = shares(config, endpoints, [a, b, c]);
    t.ok(again[0] === 0 && again[2] === 0 && near(again, [0, 33, 0, 33, 33], 2), `${config.kind}: ${again.join(' ')}`);
    c.available = false;
    a.available = false;
    t.equal(linkPicker(config, endpoints).pick(0, seededRandom(1), [b], null), b, 'a tried one is better than none');
    b.available = false;
    t.equal(linkPicker(config, endpoints).pick(0, seededRandom(1), [], null), null);
    t.equal(linkPicker(config, [sick]).pick(0, seededRandom(1), [], null), null);
    t.equal(linkPicker(config, []).pick(0, seededRandom(1), [], null), null);
    t.equal(linkPicker(config, [endpoint(9)]).pick(0, seededRandom(1), [], null)?.config.port, 9);
    t.equal(linkPicker(config, endpoints).endpoints, endpoints);
  }
});

/** Sends a request each millisecond for 20 s to endpoints with these latencies; their shares of the second half in percent. */
function simulate(config: BalancerConfig, latenciesMs: readonly number[]): number[] {
  const endpoints = latenciesMs.map((_, index) => endpoint(index));
  const picker = linkPicker(config, endpoints);
  const random = seededRandom(5);
  const counts = latenciesMs.map(() => 0);
  let underWay: { endMs: number; index: number }[] = [];
  for (let nowMs = 0; nowMs < 20_000; nowMs++) {
    for (const { endMs, index } of underWay) {
      if (endMs > nowMs) continue;
      endpoints[index]!.inFlight--;
      endpoints[index]!.latency.observe(latenciesMs[index]!, nowMs);
    }
    underWay = underWay.filter(({ endMs }) => endMs > nowMs);
    const index = endpoints.indexOf(picker.pick(nowMs, random, [], null)!);
    endpoints[index]!.inFlight++;
    underWay.push({ endMs: nowMs + latenciesMs[index]!, index });
    if (nowMs >= 10_000) counts[index]!++;
  }
  return counts.map((count) => count / 100);
}

t.test('two choices send little to a slow endpoint', async (t) => {
  const ewma = simulate(EWMA, [5, 5, 5, 250]);
  const least = simulate({ kind: 'least-request' }, [5, 5, 5, 250]);
  t.ok(ewma[3]! < 1, `peak EWMA: ${ewma.join(' ')}`);
  t.ok(least[3]! < 5, `least request: ${least.join(' ')}`);
  t.ok(near(ewma.slice(0, 3), [33, 33, 33], 4), 'the fast ones share evenly');
});

t.test('an endpoint that was slow once is tried again', async (t) => {
  const [fast, slow] = [endpoint(1), endpoint(2)];
  const picker = linkPicker(EWMA, [fast, slow]);
  fast.latency.observe(10, 0);
  slow.latency.observe(1000, 0);
  t.equal(picker.pick(1, seededRandom(1), [], null), fast);
  fast.latency.observe(10, 60_000);
  t.equal(picker.pick(60_000, seededRandom(1), [], null), slow);
});

t.test('round robin takes turns without bursts and starts anywhere', async (t) => {
  const equal = [endpoint(1), endpoint(2), endpoint(3)];
  const picker = linkPicker({ kind: 'round-robin' }, equal);
  const random = seededRandom(1);
  const turns = Array.from({ length: 300 }, () => picker.pick(0, random, [], null)!.config.port);
  t.ok(turns.every((port, index) => index === 0 || port === (turns[index - 1]! % 3) + 1));

  const weighted = [endpoint(1, 3), endpoint(2, 1), endpoint(3, 2)];
  const uneven = linkPicker({ kind: 'round-robin' }, weighted);
  const ports = Array.from({ length: 6000 }, () => uneven.pick(0, random, [], null)!.config.port);
  t.ok([1, 2, 3].every((port, i) => Math.abs(ports.filter((p) => p === port).length - [3000, 1000, 2000][i]!) <= 2));
  const windows = Array.from({ length: 5990 }, (_, i) => new Set(ports.slice(i, i + 8)).size);
  t.ok(
    windows.every((size) => size === 3),
    'each has its turn within any eight',
  );

  const starts = new Set<number>();
  const seeds = seededRandom(9);
  for (let i = 0; i < 50; i++) {
    starts.add(
      linkPicker({ kind: 'round-robin' }, equal).pick(0, () => randomInt(seeds, 1000) / 1000, [], null)!.config.port,
    );
  }
  t.equal(starts.size, 3);
});
