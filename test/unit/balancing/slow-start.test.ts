/** Slow start: the share of a new endpoint grows with its age, for each policy that knows it. */
import t from 'tap';
import { PeakEwma } from '#base/ewma.ts';
import { seededRandom } from '#base/random.ts';
import { linkPicker } from '../../../proxy/balancing/picker.ts';
import type { BalancerConfig, SlowStartConfig } from '../../../proxy/config/balancers.ts';
import type { BalancedEndpoint } from '../../../proxy/exchange/destination.ts';

const LINEAR: SlowStartConfig = { windowMs: 100_000, aggression: 1, minPercent: 10 };
const NOW = 1_000_000;

function endpoint(port: number, sinceMs: number): BalancedEndpoint {
  return {
    config: {
      address: '10.0.0.1',
      port,
      healthy: true,
      weight: 1,
      zone: '',
      mtls: false,
      identity: '',
      workload: null,
    },
    inFlight: 0,
    latency: new PeakEwma(30, 10_000, 0),
    sinceMs,
    available: true,
    passing: true,
  };
}

/** Percent of 20,000 picks that the one of this age gets beside three old ones. */
function share(config: BalancerConfig, ageMs: number, oldAgeMs = 900_000): number {
  const young = endpoint(1, NOW - ageMs);
  const others = [2, 3, 4].map((port) => endpoint(port, NOW - oldAgeMs));
  const picker = linkPicker(config, [...others, young]);
  const random = seededRandom(7);
  let hits = 0;
  for (let i = 0; i < 20_000; i++) if (picker.pick(NOW, random, [], null) === young) hits++;
  return hits / 200;
}

const policies = (slowStart: SlowStartConfig): readonly BalancerConfig[] => [
  { kind: 'round-robin', slowStart },
  { kind: 'least-request', slowStart },
  { kind: 'peak-ewma', defaultRttMs: 30, decayMs: 10_000, slowStart },
];

t.test('a new endpoint begins with the least part and grows to its share', async (t) => {
  for (const config of policies(LINEAR)) {
    const shares = [0, 25_000, 50_000, 75_000, 100_000].map((age) => share(config, age));
    const said = `${config.kind}: ${shares.join(' ')}`;
    // Whoever is refused by the new one goes elsewhere, now and then to it again: a little more than the part of the share.
    t.ok(shares[0]! > 1.5 && shares[0]! < 4, said);
    t.ok(
      shares.every((one, i) => i === 0 || one > shares[i - 1]! + 2),
      said,
    );
    t.ok(Math.abs(shares[4]! - 25) < 1, said);
  }
});

t.test('aggression lets it grow faster at first, and minPercent gives it more from the start', async (t) => {
  for (const [i, config] of policies({ ...LINEAR, aggression: 2 }).entries()) {
    t.ok(share(config, 25_000) > share(policies(LINEAR)[i]!, 25_000) + 4, config.kind);
  }
  for (const config of policies({ ...LINEAR, minPercent: 50 })) t.ok(share(config, 0) > 10, config.kind);
});

t.test('when all are new, or equally old, nobody is held back', async (t) => {
  for (const config of policies(LINEAR)) t.ok(Math.abs(share(config, 0, 0) - 25) < 1.5, config.kind);
});

t.test('an endpoint that is new takes the requests that nobody else can', async (t) => {
  for (const config of policies(LINEAR)) {
    const [old, young] = [endpoint(1, 0), endpoint(2, NOW)];
    old.available = false;
    const picker = linkPicker(config, [old, young]);
    const random = seededRandom(1);
    for (let i = 0; i < 100; i++) t.equal(picker.pick(NOW, random, [], null), young);
  }
});
