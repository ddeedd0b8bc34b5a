/** Active health checks: who is out when, and what is left behind. Probes answer as the test says. */
import t from 'tap';
import { FakeClock } from '#base/fake-clock.ts';
import { HealthChecker, type CheckFailure, type EndpointHealth } from '../../../proxy/balancing/health.ts';
import type { HealthCheckConfig } from '../../../proxy/config/endpoint-health.ts';
import type { BalancedEndpoint } from '../../../proxy/exchange/destination.ts';

const CONFIG: HealthCheckConfig = {
  check: { kind: 'tcp' },
  intervalMs: 1000,
  timeoutMs: 200,
  unhealthyThreshold: 3,
  healthyThreshold: 2,
};
const BAD: CheckFailure = { kind: 'failure', detail: 'status 500' };

interface Asked {
  readonly endpoint: BalancedEndpoint;
  readonly done: (failure: CheckFailure | null) => void;
  givenUp: boolean;
}

function rig(count: number, more: Partial<HealthCheckConfig> = {}, keep = 1) {
  const clock = new FakeClock();
  const asked: Asked[] = [];
  const said: string[] = [];
  let closed = 0;
  let failing = 0;
  const checker = new HealthChecker({ ...CONFIG, ...more }, keep, {
    clock,
    random: () => 0.5,
    probe: (endpoint) => ({
      check: (_, done) => {
        const one: Asked = { endpoint, done, givenUp: false };
        asked.push(one);
        return () => (one.givenUp = true);
      },
      close: () => closed++,
    }),
    events: {
      checked: (failure) => said.push(failure?.kind ?? 'success'),
      found: (_, why, isChange) => void (isChange && said.push(why === '' ? 'passes' : why)),
      counted: (now) => (failing = now),
    },
  });
  const all: EndpointHealth[] = Array.from({ length: count }, () =>
    checker.add({ available: true, passing: true, config: { healthy: true } } as BalancedEndpoint),
  );
  return {
    clock,
    checker,
    said,
    asked,
    all,
    /** Each of the checks under way is answered. */
    answer: (result: (endpoint: BalancedEndpoint) => CheckFailure | null) => {
      while (asked.length === 0) clock.advance(50);
      for (const { endpoint, done } of asked.splice(0)) done(result(endpoint));
    },
    out: () => all.filter(({ endpoint }) => !endpoint.passing).length,
    failing: () => failing,
    closed: () => closed,
  };
}

t.test('a new endpoint is in until its first check, which counts alone', async (t) => {
  const r = rig(3);
  t.equal(r.out(), 0);
  t.equal(r.asked.length, 0, 'not all at the same moment');
  r.clock.advance(100);
  t.equal(r.asked.length, 3);
  const [bad] = r.all;
  r.answer((one) => (one === bad!.endpoint ? BAD : null));
  t.same([r.out(), r.failing(), bad!.why], [1, 1, 'status 500']);
});

t.test('thresholds: so many in a row put an endpoint out and bring it back', async (t) => {
  const r = rig(2);
  const [bad] = r.all;
  const step = (failure: CheckFailure | null): void => {
    r.answer((one) => (one === bad!.endpoint ? failure : null));
  };
  step(null);
  for (const [failure, out] of [
    [BAD, 0],
    [BAD, 0],
    [null, 0],
    [BAD, 0],
    [BAD, 0],
    [BAD, 1],
    [null, 1],
    [BAD, 1],
    [null, 1],
    [null, 0],
  ] as const) {
    step(failure);
    t.equal(r.out(), out);
  }
});

t.test('silence is a failure after the timeout, and the check is given up', async (t) => {
  const r = rig(2, { unhealthyThreshold: 1 });
  r.clock.advance(50);
  const [first] = r.asked.splice(0, 1);
  r.answer(() => null);
  r.clock.advance(200);
  t.equal(first!.givenUp, true);
  t.same(r.said, ['success', 'network_failure', 'no answer within 200 ms']);
  t.equal(r.out(), 1);
});

t.test('who was too busy to hear an answer in time waits for it once more', async (t) => {
  const r = rig(2, { unhealthyThreshold: 1 });
  r.clock.advance(50);
  // The same turn of the loop in which the timer runs comes much later.
  const now = r.clock.now.bind(r.clock);
  let late = 0;
  r.clock.now = () => now() + late;
  late = 100;
  r.clock.advance(200);
  t.equal(r.out(), 0);
  const [first, second] = r.asked.splice(0);
  first!.done(null);
  r.clock.advance(200);
  t.same([second!.givenUp, r.out()], [true, 1]);
});

t.test('when fewer pass than have to stay, none is left out', async (t) => {
  for (const [keep, failing, out] of [
    [1, 3, 3],
    [1, 4, 0],
    [3, 1, 1],
    [3, 2, 0],
  ] as const) {
    const r = rig(4, {}, keep);
    const bad = new Set(r.all.slice(0, failing).map(({ endpoint }) => endpoint));
    r.answer((one) => (bad.has(one) ? BAD : null));
    t.equal(r.out(), out, `${failing} of 4 fail, ${keep} have to stay`);
    t.equal(r.failing(), failing);
  }
});

t.test('who is ejected or not ready is none of those who stay', async (t) => {
  const r = rig(2);
  r.all[1]!.endpoint.available = false;
  r.answer((one) => (one === r.all[0]!.endpoint ? BAD : null));
  t.equal(r.out(), 0, 'the other one is ejected');
  r.all[1]!.endpoint.available = true;
  r.answer((one) => (one === r.all[0]!.endpoint ? BAD : null));
  t.equal(r.out(), 1, 'it is back');
});

t.test('another configuration is in force at once, and keeps what was found', async (t) => {
  const r = rig(2);
  r.clock.advance(100);
  r.answer((one) => (one === r.all[0]!.endpoint ? BAD : null));
  r.checker.update({ ...CONFIG, intervalMs: 10_000, healthyThreshold: 1 }, 1);
  t.equal(r.out(), 1);
  r.clock.advance(500);
  t.equal(r.asked.length, 2);
  r.answer(() => null);
  t.equal(r.out(), 0);
});

t.test('findings of another worker count; nothing is asked then', async (t) => {
  const clock = new FakeClock();
  const events = { checked: () => undefined, found: () => undefined, counted: () => undefined };
  const checker = new HealthChecker(CONFIG, 1, { clock, random: () => 0.5, probe: null, events });
  const endpoint = { available: true, passing: true, config: { healthy: true } } as BalancedEndpoint;
  const health = checker.add(endpoint);
  checker.add({ ...endpoint });
  t.equal(clock.size, 0);
  health.tell('status 500');
  t.equal(endpoint.passing, false);
  health.tell('');
  t.equal(endpoint.passing, true);
});

t.test('nothing is left of who is removed, or of all: no timer, no check, no probe', async (t) => {
  const r = rig(3, { unhealthyThreshold: 1 });
  r.answer(() => BAD);
  r.clock.advance(1000);
  t.equal(r.asked.length, 3);
  r.checker.remove(r.all[0]!);
  t.same([r.asked.map(({ givenUp }) => givenUp), r.failing(), r.closed()], [[true, false, false], 2, 1]);
  r.checker.close();
  t.same([r.clock.size, r.failing(), r.closed()], [0, 0, 3]);
  t.same(
    r.asked.map(({ givenUp }) => givenUp),
    [true, true, true],
  );
  t.equal(r.out(), 0);
});
