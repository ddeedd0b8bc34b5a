/** Endpoints of two priorities: how requests are shared among the levels, with each policy, as endpoints of the first fall out. */
import t from 'tap';
import { PeakEwma } from '#base/ewma.ts';
import { randomInt, seededRandom } from '#base/random.ts';
import type { Hash64 } from '#base/xx-hash.ts';
import { linkPicker } from '../../../proxy/balancing/picker.ts';
import type { BalancerConfig } from '../../../proxy/config/balancers.ts';
import type { BalancedEndpoint } from '../../../proxy/exchange/destination.ts';

const ALL: readonly BalancerConfig[] = [
  { kind: 'peak-ewma', defaultRttMs: 30, decayMs: 10_000 },
  { kind: 'least-request' },
  { kind: 'round-robin' },
  { kind: 'random' },
  { kind: 'ring-hash', hashOn: [], minSize: 1024, maxSize: 65_536 },
  { kind: 'maglev', hashOn: [], tableSize: 65_537 },
];

interface More {
  readonly healthy?: boolean;
  readonly sinceMs?: number;
}

function endpoint(port: number, priority: number, { healthy = true, sinceMs = -Infinity }: More): BalancedEndpoint {
  const where = { address: '10.0.0.1', port, priority, zone: '' };
  return {
    config: { ...where, healthy, weight: 1, mtls: false, identity: '', workload: null },
    inFlight: 0,
    latency: new PeakEwma(30, 10_000, 0),
    sinceMs,
    available: true,
    passing: true,
  };
}

const near = (count: number, more: More = {}) => Array.from({ length: count }, (_, i) => endpoint(i + 1, 0, more));
const far = (count: number, more: More = {}) => Array.from({ length: count }, (_, i) => endpoint(i + 101, 1, more));

/** Percent of 10,000 picks by as many keys that the first level gets; null: somebody got none at all. */
function shareOfNear(
  config: BalancerConfig,
  endpoints: readonly BalancedEndpoint[],
  tried: readonly BalancedEndpoint[] = [],
): number | null {
  const picker = linkPicker(config, endpoints);
  const random = seededRandom(5);
  const counts = [0, 0];
  for (let i = 0; i < 10_000; i++) {
    const hash: Hash64 = { hi: randomInt(random, 2 ** 32), lo: randomInt(random, 2 ** 32) };
    const picked = picker.pick(0, random, tried, hash);
    if (picked === null) return null;
    if (!picked.available || !picked.config.healthy) throw new Error('somebody who is out was picked');
    counts[picked.config.priority!]!++;
  }
  return counts[0]! / 100;
}

t.test('the first level takes everything until a good quarter of it is out, then leaves a growing part', async (t) => {
  const wanted = [100, 100, 100, 98, 84, 70, 56, 42, 28, 14, 0];
  for (const config of ALL) {
    for (const [out, share] of wanted.entries()) {
      const endpoints = [...near(10), ...far(10)];
      for (const one of endpoints.slice(0, out)) one.available = false;
      const got = shareOfNear(config, endpoints)!;
      t.ok(Math.abs(got - share) < 1.5, `${config.kind}, ${out} of 10 out: ${got} %`);
    }
  }
});

t.test('an endpoint that is not ready counts as out, too', async (t) => {
  for (const config of ALL) {
    const endpoints = [...near(1), ...near(1, { healthy: false }), ...far(2)];
    t.ok(Math.abs(shareOfNear(config, endpoints)! - 70) < 1.5, config.kind);
  }
});

t.test('what both levels together cannot take is shared in proportion; with nobody there is no endpoint', async (t) => {
  for (const config of ALL) {
    const endpoints = [...near(10), ...far(10)];
    for (const one of [...endpoints.slice(0, 8), ...endpoints.slice(10, 16)]) one.available = false;
    t.ok(Math.abs(shareOfNear(config, endpoints)! - 33) < 1.5, config.kind);
    for (const one of endpoints) one.available = false;
    t.equal(shareOfNear(config, endpoints), null, config.kind);
  }
});

t.test('a retry goes to another level when all of its own were tried', async (t) => {
  for (const config of ALL) {
    const [one, other, ...rest] = [...near(2), ...far(2)];
    t.equal(shareOfNear(config, [one!, other!, ...rest], [one!, other!]), 0, config.kind);
    t.equal(shareOfNear(config, [one!, other!, ...rest], [one!]), 100, config.kind);
    t.equal(shareOfNear(config, [one!, ...rest], [one!, ...rest]), 100, `${config.kind}: all were tried`);
  }
});

t.test('who comes back is in its level again within 100 ms', async (t) => {
  const endpoints = [...near(2), ...far(2)];
  for (const one of endpoints.slice(0, 2)) one.available = false;
  const picker = linkPicker({ kind: 'round-robin' }, endpoints);
  const random = seededRandom(5);
  t.equal(picker.pick(0, random, [], null)?.config.priority, 1);
  for (const one of endpoints.slice(0, 2)) one.available = true;
  t.equal(picker.pick(100, random, [], null)?.config.priority, 0);
});

t.test('slow start counts within a level: the only one of a zone is not held back', async (t) => {
  const slowStart = { windowMs: 100_000, aggression: 1, minPercent: 10 };
  const endpoints = [...near(1, { sinceMs: 0 }), ...far(3)];
  t.equal(shareOfNear({ kind: 'round-robin', slowStart }, endpoints), 100);
});

t.test('a key stays with its endpoint while the levels stay as they are', async (t) => {
  for (const config of ALL.slice(4)) {
    const endpoints = [...near(4), ...far(4)];
    for (const one of endpoints.slice(0, 2)) one.available = false;
    const random = seededRandom(9);
    const picker = linkPicker(config, endpoints);
    const seen = new Set<BalancedEndpoint | null>();
    for (let i = 0; i < 300; i++) {
      const hash: Hash64 = { hi: randomInt(random, 2 ** 32), lo: randomInt(random, 2 ** 32) };
      const first = picker.pick(0, random, [], hash);
      seen.add(first);
      if (picker.pick(200, random, [], hash) !== first) t.fail('moved');
    }
    t.equal(seen.size, 6, `${config.kind}: all that are in have some`);
  }
});
