/** Pickers by hash: the same key finds the same endpoint, shares are as the weights, and little moves when an endpoint leaves. */
import t from 'tap';
import { PeakEwma } from '#base/ewma.ts';
import { seededRandom } from '#base/random.ts';
import { xxHash64 } from '#base/xx-hash.ts';
import { linkPicker } from '../../../proxy/balancing/picker.ts';
import type { BalancerConfig } from '../../../proxy/config/balancers.ts';
import type { BalancedEndpoint } from '../../../proxy/exchange/destination.ts';

const RING: BalancerConfig = { kind: 'ring-hash', hashOn: [], minSize: 1024, maxSize: 65_536 };
const MAGLEV: BalancerConfig = { kind: 'maglev', hashOn: [], tableSize: 65_537 };
const BOTH = [RING, MAGLEV];
const KEYS = Array.from({ length: 10_000 }, (_, i) => xxHash64(`user-${i}`));
const random = seededRandom(1);

function endpoint(port: number, weight = 1): BalancedEndpoint {
  return {
    config: { address: '10.0.0.1', port, healthy: true, weight, zone: '', mtls: false, identity: '', workload: null },
    inFlight: 0,
    latency: new PeakEwma(30, 10_000, 0),
    sinceMs: 0,
    available: true,
    passing: true,
  };
}

const several = (count: number): BalancedEndpoint[] => Array.from({ length: count }, (_, i) => endpoint(8000 + i));

/** Whom each key finds. */
function found(
  config: BalancerConfig,
  endpoints: readonly BalancedEndpoint[],
  tried: readonly BalancedEndpoint[] = [],
): (BalancedEndpoint | null)[] {
  const picker = linkPicker(config, endpoints);
  return KEYS.map((key) => picker.pick(0, random, tried, key));
}

function shares(config: BalancerConfig, endpoints: readonly BalancedEndpoint[]): number[] {
  const whom = found(config, endpoints);
  return endpoints.map((one) => whom.filter((other) => other === one).length / 100);
}

t.test('a key finds the same endpoint in every sidecar, in whatever order endpoints are told', async (t) => {
  for (const config of BOTH) {
    const endpoints = several(7);
    t.same(found(config, endpoints.toReversed()), found(config, endpoints), config.kind);
  }
});

t.test("the Maglev table is Envoy's", async (t) => {
  // maglev_lb_test.cc, MaglevLoadBalancerTest.Basic: tables of 7 places over 127.0.0.1:90 to :95.
  const hosts = Array.from({ length: 6 }, (_, i): BalancedEndpoint => {
    const one = endpoint(90 + i);
    return { ...one, config: { ...one.config, address: '127.0.0.1' } };
  });
  const picker = linkPicker({ kind: 'maglev', hashOn: [], tableSize: 7 }, hosts);
  const ports = Array.from({ length: 7 }, (_, lo) => picker.pick(0, random, [], { hi: 0, lo })!.config.port);
  t.same(ports, [92, 94, 90, 91, 95, 90, 93]);
});

t.test('keys are shared out by weight', async (t) => {
  for (const [config, points] of [
    [RING, 6],
    [MAGLEV, 1.5],
  ] as const) {
    const even = shares(config, several(5));
    t.ok(
      even.every((share) => Math.abs(share - 20) < points),
      `${config.kind}: ${even.join(' ')}`,
    );
    const uneven = shares(config, [endpoint(1, 50), endpoint(2, 30), endpoint(3, 15), endpoint(4, 5)]);
    t.ok(
      uneven.every((share, i) => Math.abs(share - [50, 30, 15, 5][i]!) < points),
      `${config.kind}: ${uneven.join(' ')}`,
    );
  }
});

t.test('when an endpoint leaves, a ring moves only its keys, and Maglev few others', async (t) => {
  for (const count of [5, 20, 100]) {
    const endpoints = several(count);
    const [left, ...others] = endpoints;
    for (const config of BOTH) {
      const before = found(config, endpoints);
      const after = found(config, others);
      const moved = before.filter((one, i) => one !== left && one !== after[i]).length / 100;
      // Maglev paper, 5.3: with a table of 65,537 places about 2 % of the keys of others at most.
      t.ok(moved <= (config.kind === 'ring-hash' ? 0 : 4), `${config.kind} of ${count}: ${moved} %`);
      const heirs = new Set(after.filter((_, i) => before[i] === left));
      t.ok(heirs.size > 2, 'its keys are spread over the others');
    }
  }
});

t.test('an endpoint that is out or was tried gives its keys to others, and theirs stay', async (t) => {
  for (const config of BOTH) {
    const endpoints = several(5);
    const [a, b] = endpoints as [BalancedEndpoint, BalancedEndpoint];
    const before = found(config, endpoints);
    const without = found(config, endpoints, [a]);
    t.ok(
      before.every((one, i) => (one === a ? without[i] !== a : without[i] === one)),
      `${config.kind}: tried`,
    );
    a.available = false;
    t.same(found(config, endpoints), without, `${config.kind}: the same heirs`);
    for (const one of endpoints) one.available = one === b;
    t.ok(
      found(config, endpoints, [b]).every((one) => one === b),
      'a tried one is better than none',
    );
    b.available = false;
    t.ok(found(config, endpoints).every((one) => one === null));
    t.equal(linkPicker(config, []).pick(0, random, [], KEYS[0]!), null);
  }
});

t.test('without a key any of them', async (t) => {
  for (const config of BOTH) {
    const picker = linkPicker(config, several(4));
    const ports = new Set(Array.from({ length: 100 }, () => picker.pick(0, random, [], null)!.config.port));
    t.equal(ports.size, 4, config.kind);
  }
});

t.test('a ring stays within its bound, and everybody has a point', async (t) => {
  const endpoints = several(3000);
  const small: BalancerConfig = { kind: 'ring-hash', hashOn: [], minSize: 1024, maxSize: 4096 };
  t.ok(new Set(found(small, endpoints)).size > 2000);
});
