/** Clocks, deadlines, durations, backoff and latency: everything that is about time. */
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import t from 'tap';
import { backoffMs, reconnectMs } from '#base/backoff.ts';
import { systemClock } from '#base/clock.ts';
import { formatDuration, parseDuration } from '#base/duration.ts';
import { PeakEwma } from '#base/ewma.ts';
import { FakeClock } from '#base/fake-clock.ts';
import { randomInt, seededRandom } from '#base/random.ts';
import { Deadline, TimerWheel } from '#base/timer-wheel.ts';

function almostOne(): number {
  return 1 - 1e-9;
}

class Fired extends Deadline {
  readonly #run: () => void;
  constructor(run: () => void) {
    super();
    this.#run = run;
  }
  override onDeadline(): void {
    this.#run();
  }
}

t.test('the fake clock runs what falls due in order, and only that', async (t) => {
  const clock = new FakeClock(100);
  const seen: string[] = [];
  const note = (name: string): void => void seen.push(`${name}@${clock.now()}`);
  const cancelled = clock.after(5, () => note('cancelled'));
  clock.after(10, () => {
    note('b');
    clock.after(0, () => note('nested'));
    cancelled.cancel();
  });
  clock.after(10, () => note('c'));
  clock.after(3, () => cancelled.cancel());
  const ticks = clock.every(4, () => {
    note('tick');
    if (clock.now() > 111) ticks.cancel();
  });
  const wall = clock.wall();
  clock.advance(20);
  t.same(seen, ['tick@104', 'tick@108', 'b@110', 'c@110', 'nested@110', 'tick@112']);
  t.same([clock.now(), clock.wall() - wall, clock.size], [120, 20, 0]);
});

t.test('the system clock goes on and its timers can be cancelled twice', async (t) => {
  const before = systemClock.now();
  await new Promise<void>((resolve) => {
    const never = systemClock.after(1, () => t.fail('cancelled'));
    never.cancel();
    never.cancel();
    const far = systemClock.after(1e12, () => t.fail('far in the future'));
    let turns = 0;
    const hold = setInterval(() => undefined, 1000);
    const every = systemClock.every(1, () => {
      if (++turns < 2) return;
      every.cancel();
      far.cancel();
      clearInterval(hold);
      resolve();
    });
  });
  t.ok(systemClock.now() > before);
});

t.test('what came while the process stood still is read before its timers run', async (t) => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const near = connect((server.address() as AddressInfo).port, '127.0.0.1');
  const [far] = (await once(server, 'connection')) as [Socket];
  t.teardown(() => {
    near.destroy();
    server.close();
  });
  for (const kind of ['after', 'every'] as const) {
    const seen: string[] = [];
    // From here the platform comes to its timers before its sockets.
    await new Promise(setImmediate);
    await new Promise<void>((resolve) => {
      const note = (what: string): void => {
        if (seen.push(what) === 2) resolve();
      };
      far.removeAllListeners('data').on('data', () => note('answer'));
      const timer = systemClock[kind](20, () => {
        timer.cancel();
        note('timer');
      });
      near.write('x', () => {
        for (const endMs = performance.now() + 100; performance.now() < endMs;);
      });
    });
    t.same(seen, ['answer', 'timer'], kind);
  }
});

t.test('a deadline never fires early, and at most a tick late', async (t) => {
  const clock = new FakeClock(3.7);
  const wheel = new TimerWheel(clock, 20);
  const random = seededRandom(4);
  const wrong: unknown[] = [];
  let fired = 0;
  const items = Array.from({ length: 400 }, () => {
    const item: Fired = new Fired(() => {
      fired++;
      const lateMs = clock.now() - item.dueMs;
      // The fake clock ticks in steps of 20 ms from when the wheel started, so up to two ticks lie between.
      if (lateMs < 0 || lateMs > 40) wrong.push(lateMs);
    });
    return item;
  });
  let cancelled = 0;
  for (const item of items) {
    wheel.schedule(item, random() * 30_000);
    if (random() < 0.2) wheel.schedule(item, random() * 30_000);
    clock.advance(randomInt(random, 50));
    if (random() < 0.2 && item.wheelSlot >= 0) {
      cancelled++;
      wheel.cancel(item);
      wheel.cancel(item);
    }
  }
  clock.advance(31_000);
  t.same(wrong, []);
  t.equal(fired + cancelled, items.length);
  t.same([wheel.size, clock.size], [0, 0], 'an empty wheel holds no timer');
});

t.test('what a deadline does to others that are due in the same tick counts', async (t) => {
  const clock = new FakeClock();
  const wheel = new TimerWheel(clock, 20);
  const seen: string[] = [];
  const note = (name: string): void => void seen.push(`${name}@${clock.now()}`);
  const cancelled = new Fired(() => note('cancelled'));
  const moved = new Fired(() => note('moved'));
  const last = new Fired(() => note('last'));
  const again: Fired = new Fired(() => {
    note('again');
    if (seen.length < 4) wheel.schedule(again, 30);
  });
  const first = new Fired(() => {
    note('first');
    wheel.cancel(cancelled);
    wheel.schedule(moved, 100);
  });
  for (const item of [first, cancelled, moved, again, last]) wheel.schedule(item, 10);
  wheel.schedule(new Fired(() => note('far')), 10_240 + 100);
  clock.advance(20_000);
  t.same(seen, ['first@20', 'again@20', 'last@20', 'again@60', 'moved@140', 'far@10360']);
  t.equal(wheel.size, 0);
});

t.test('a deadline that throws does not lose the others', async (t) => {
  const clock = new FakeClock();
  const wheel = new TimerWheel(clock, 20);
  let fired = 0;
  wheel.schedule(
    new Fired(() => {
      throw new Error('bug');
    }),
    10,
  );
  wheel.schedule(new Fired(() => fired++), 10);
  t.throws(() => clock.advance(20), /bug/);
  t.same([wheel.size, fired], [1, 0]);
  clock.advance(20);
  t.same([wheel.size, fired, clock.size], [0, 1, 0]);
});

t.test('durations are those of Gateway API, and come back as they went', async (t) => {
  const good = ['0s', '10s', '1h30m', '500ms', '1h2m3s4ms', '99999h', '1s1s'];
  const bad = ['', '1', '1.5s', '-1s', '1d', '100000s', '1s1s1s1s1s', ' 1s', '1s\n'];
  t.same(good.map(parseDuration), [0, 10_000, 5_400_000, 500, 3_723_004, 359_996_400_000, 2000]);
  t.ok(bad.every((text) => parseDuration(text) === null));
  const random = seededRandom(5);
  const odd = Array.from({ length: 500 }, () => randomInt(random, 10 ** randomInt(random, 10))).filter(
    (ms) => parseDuration(formatDuration(ms)) !== ms,
  );
  t.same(odd, []);
  t.same([0, -1, 0.9, 90_000, 3_600_001].map(formatDuration), ['0s', '0s', '0s', '1m30s', '1h1ms']);
});

t.test('backoff grows to its bound with full jitter; a reconnect waits at least half', async (t) => {
  const bounds = { baseMs: 100, maxMs: 1000 };
  const retries = [0, 1, 2, 3, 1000];
  t.same(
    [
      retries.map((retry) => Math.round(backoffMs(bounds, retry, almostOne))),
      retries.map((retry) => backoffMs(bounds, retry, () => 0)),
    ],
    [
      [100, 300, 700, 1000, 1000],
      [0, 0, 0, 0, 0],
    ],
  );
  t.same(
    [
      retries.map((retry) => Math.round(reconnectMs(bounds, retry, almostOne))),
      retries.map((retry) => reconnectMs(bounds, retry, () => 0)),
    ],
    [
      [100, 200, 400, 800, 1000],
      [50, 100, 200, 400, 500],
    ],
  );
});

t.test('a latency jumps up at once and comes down slowly', async (t) => {
  const latency = new PeakEwma(30, 10_000, 0);
  t.equal(latency.estimateMs(0), 30);
  latency.observe(200, 10);
  t.equal(latency.estimateMs(10), 200);
  latency.observe(20, 1010);
  const soon = latency.estimateMs(1010);
  t.ok(soon > 180 && soon < 185, `${soon}`);
  t.ok(latency.estimateMs(101_010) < 1, 'and is forgotten without samples');
  latency.observe(20, 101_010);
  t.ok(Math.abs(latency.estimateMs(101_010) - 20) < 1);
  latency.observe(10, 0);
  t.ok(latency.estimateMs(0) > 0, 'a clock that goes back does no harm');
});

t.test('a failure raises the cost for its time only, and leaves the average alone', async (t) => {
  const ewma = new PeakEwma(10, 10_000, 0);
  ewma.penalize(1000, 500);
  t.same([ewma.estimateMs(499), ewma.estimateMs(500) < 10], [1000, true]);
});
