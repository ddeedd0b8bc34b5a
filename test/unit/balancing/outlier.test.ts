/** Who is ejected, for how long, and how it comes back; with a clock that is moved by hand. */
import t from 'tap';
import { FakeClock } from '#base/fake-clock.ts';
import { OutlierDetector, type EndpointJudge } from '../../../proxy/balancing/outlier.ts';
import type { OutlierConfig } from '../../../proxy/config/endpoint-health.ts';
import type { BalancedEndpoint } from '../../../proxy/exchange/destination.ts';

const CONFIG: OutlierConfig = {
  consecutiveErrors: 3,
  consecutiveGatewayErrors: 0,
  successRate: null,
  intervalMs: 10_000,
  ejectionBaseMs: 30_000,
  ejectionMaxMs: 70_000,
  keepEndpoints: 1,
};

interface Rig {
  readonly clock: FakeClock;
  readonly detector: OutlierDetector;
  readonly judges: readonly EndpointJudge[];
  readonly said: string[];
}

function rig(count: number, more: Partial<OutlierConfig> = {}, random = () => 0): Rig {
  const clock = new FakeClock();
  const said: string[] = [];
  const events = { ejected: (reason: string) => said.push(reason), returned: () => said.push('back') };
  const detector = new OutlierDetector({ ...CONFIG, ...more }, { clock, random, events });
  const judges = Array.from({ length: count }, () =>
    detector.add({ available: true, passing: true, config: { healthy: true } } as unknown as BalancedEndpoint),
  );
  return { clock, detector, judges, said };
}

function fail(judge: EndpointJudge, times: number): void {
  for (let i = 0; i < times; i++) judge.attemptOver(500, -1, null);
}

/** How many are out when all fail. */
function ejectedOf(count: number, keepEndpoints: number): number {
  const { judges, detector } = rig(count, { keepEndpoints });
  for (const judge of judges) fail(judge, 3);
  return detector.ejected;
}

/** Why the first of two is ejected, by what it is fed. */
function reasonsFor(feed: (judge: EndpointJudge) => void): readonly string[] {
  const { judges, said } = rig(2, { consecutiveErrors: 2, consecutiveGatewayErrors: 1 });
  feed(judges[0]!);
  return said;
}

t.test('a success in between begins the row anew', async (t) => {
  const { judges, said } = rig(2);
  const [judge] = judges;
  fail(judge!, 2);
  judge!.attemptOver(404, -1, null);
  fail(judge!, 2);
  t.same(said, []);
  fail(judge!, 1);
  t.same(said, ['consecutive_5xx']);
  t.equal(judge!.endpoint.available, false);
});

t.test(
  'each ejection is longer than the one before, up to the longest; good intervals make it shorter again',
  async (t) => {
    const { clock, judges } = rig(2);
    const judge = judges[0]!;
    const lengths: number[] = [];
    const measure = (): void => {
      const startMs = clock.now();
      while (!judge.endpoint.available) clock.advance(1000);
      lengths.push(clock.now() - startMs);
    };
    fail(judge, 3);
    measure();
    for (let i = 0; i < 2; i++) {
      judge.attemptBegins();
      fail(judge, 1);
      measure();
    }
    judge.attemptBegins();
    judge.attemptOver(200, -1, null);
    // Three ejections are in the memory; the first interval after the last one takes none off.
    clock.advance(40_000);
    fail(judge, 3);
    measure();
    t.same(lengths, [30_000, 60_000, 70_000, 30_000]);
  },
);

t.test('the way back is one request at a time, offered again when nobody heard of its end', async (t) => {
  const { clock, judges } = rig(2);
  const judge = judges[0]!;
  fail(judge, 3);
  clock.advance(30_000);
  t.equal(judge.endpoint.available, true);
  judge.attemptBegins();
  t.equal(judge.endpoint.available, false, 'no second one beside it');
  clock.advance(10_000);
  t.equal(judge.endpoint.available, true, 'its client had gone');
  judge.attemptBegins();
  judge.attemptOver(200, -1, null);
  t.same([judge.endpoint.available, judge.isIn, judge.reason], [true, true, '']);
});

t.test('returns are spread, so that not all sidecars probe at once', async (t) => {
  const { clock, judges } = rig(2, {}, () => 0.5);
  fail(judges[0]!, 3);
  clock.advance(31_400);
  t.equal(judges[0]!.endpoint.available, false);
  clock.advance(200);
  t.equal(judges[0]!.endpoint.available, true);
});

t.test('the only endpoint stays; of several one may always go, and then as many stay as are to be kept', async (t) => {
  t.same(
    [ejectedOf(1, 1), ejectedOf(2, 1), ejectedOf(2, 2), ejectedOf(3, 1), ejectedOf(5, 3), ejectedOf(3, 0)],
    [0, 1, 1, 2, 2, 3],
  );
});

t.test('gRPC statuses count as the HTTP statuses that mean the same, failed attempts as gateway errors', async (t) => {
  t.same(
    reasonsFor((judge) => judge.attemptOver(200, 14, null)),
    ['consecutive_gateway_failure'],
    'UNAVAILABLE',
  );
  t.same(
    reasonsFor((judge) => judge.attemptOver(200, 5, null)),
    [],
    'NOT_FOUND',
  );
  t.same(
    reasonsFor((judge) => judge.attemptOver(200, 13, null)),
    [],
    'INTERNAL, once',
  );
  t.same(
    reasonsFor((judge) => judge.attemptOver(0, -1, 'connect-failure')),
    ['consecutive_gateway_failure'],
  );
});

t.test('a share is judged only with enough requests, in each interval anew', async (t) => {
  const { clock, judges, said } = rig(2, { consecutiveErrors: 0, successRate: { below: 80, minRequests: 10 } });
  const judge = judges[0]!;
  const mixed = (good: number, bad: number): void => {
    for (let i = 0; i < good; i++) judge.attemptOver(200, -1, null);
    fail(judge, bad);
  };
  mixed(4, 5);
  clock.advance(10_000);
  mixed(8, 2);
  clock.advance(10_000);
  t.same(said, []);
  mixed(7, 3);
  clock.advance(10_000);
  t.same(said, ['failure_percentage']);
});

t.test('an endpoint that leaves, or a detector that ends, leaves no timer behind', async (t) => {
  const { clock, detector, judges } = rig(3);
  for (const judge of judges) fail(judge, 3);
  detector.remove(judges[0]!);
  detector.close();
  t.equal(clock.size, 0);
  t.ok(judges.every(({ endpoint }) => endpoint.available));
});
