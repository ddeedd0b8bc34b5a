/**
 * A name that is followed, on a clock of the test: when it is asked for again, what is kept while the DNS fails, which family waits for which.
 */
import t from 'tap';
import { FakeClock } from '#base/fake-clock.ts';
import type { Answer, Family } from '../../../proxy/resolve/lookup.ts';
import { ResolvedName, type Addresses, type NameOptions } from '../../../proxy/resolve/name.ts';

const OPTIONS: NameOptions = {
  families: 'all',
  respectTtl: true,
  refreshMs: 30_000,
  failureMs: 1000,
  maxFailureMs: 8000,
};
const DAY_MS = 86_400_000;

const found = (ttlMs: number | null, ...addresses: string[]): Answer => ({ kind: 'found', addresses, ttlMs });
const none: Answer = { kind: 'none' };
const failed: Answer = { kind: 'failed', reason: 'ETIMEOUT' };

class Followed {
  readonly clock = new FakeClock();
  readonly changes: Addresses[] = [];
  readonly #name: ResolvedName;
  readonly #open: { readonly family: Family; readonly settle: (answer: Answer) => void }[] = [];

  constructor(options: Partial<NameOptions> = {}, random = 0) {
    this.#name = new ResolvedName(
      'api.example',
      { ...OPTIONS, ...options },
      {
        clock: this.clock,
        random: () => random,
        lookup: (_host, family) => new Promise((settle) => this.#open.push({ family, settle })),
        bounds: { minTtlMs: 1000, maxTtlMs: 300_000 },
        onAnswer: () => undefined,
      },
      (addresses) => this.changes.push(addresses),
    );
    this.#name.start();
  }

  get asked(): readonly Family[] {
    return this.#open.map(({ family }) => family);
  }

  /** Answers a question that is open. */
  async answer(family: Family, answer: Answer): Promise<void> {
    const at = this.#open.findIndex((one) => one.family === family);
    this.#open.splice(at, 1)[0]?.settle(answer);
    await new Promise((resolve) => setImmediate(resolve));
  }

  async both(v6: Answer, v4: Answer): Promise<void> {
    await this.answer(6, v6);
    await this.answer(4, v4);
  }

  /** Passes time until it asks again. */
  untilAsked(): number {
    const begun = this.clock.now();
    while (this.#open.length === 0 && this.clock.now() - begun < 2 * DAY_MS) this.clock.advance(100);
    return this.clock.now() - begun;
  }

  close(): void {
    this.#name.close();
  }
}

t.test('both families are asked for, and again when the lower TTL is over, with jitter above it', async (t) => {
  const name = new Followed();
  t.same(name.asked, [6, 4]);
  await name.both(found(20_000, '2001:db8::1'), found(10_000, '192.0.2.2', '192.0.2.1'));
  t.same(name.changes, [
    { v6: ['2001:db8::1'], v4: [] },
    { v6: ['2001:db8::1'], v4: ['192.0.2.1', '192.0.2.2'] },
  ]);
  t.equal(name.untilAsked(), 10_000);
  await name.both(found(20_000, '2001:db8::1'), found(10_000, '192.0.2.1', '192.0.2.2'));
  t.equal(name.changes.length, 2, 'the same addresses in another order are no change');
  name.close();
  const late = new Followed({}, 1);
  await late.both(none, found(10_000, '192.0.2.1'));
  t.equal(late.untilAsked(), 11_000);
});

const waits = async (ttlMs: number | null, options: Partial<NameOptions> = {}): Promise<number> => {
  const name = new Followed(options);
  await name.both(none, found(ttlMs, '192.0.2.1'));
  const waited = name.untilAsked();
  name.close();
  return waited;
};

t.test(
  'a TTL counts within bounds; what has none, and who does not look at it, is asked for at the rate given',
  async (t) => {
    t.same(
      [await waits(0), await waits(DAY_MS), await waits(null), await waits(5000, { respectTtl: false })],
      [1000, 300_000, 30_000, 30_000],
    );
  },
);

t.test('an IPv4 answer waits 50 ms for IPv6, an IPv6 answer for nobody', async (t) => {
  const name = new Followed();
  await name.answer(4, found(10_000, '192.0.2.1'));
  t.same(name.changes, []);
  name.clock.advance(49);
  t.same(name.changes, []);
  name.clock.advance(1);
  t.same(name.changes, [{ v6: [], v4: ['192.0.2.1'] }]);
  await name.answer(6, found(10_000, '2001:db8::1'));
  t.same(name.changes.at(-1), { v6: ['2001:db8::1'], v4: ['192.0.2.1'] }, 'a late one comes in');
  const six = new Followed();
  await six.answer(6, found(10_000, '2001:db8::1'));
  t.equal(six.changes.length, 1);
});

t.test(
  'while the DNS fails the last addresses stay, it is asked again ever more seldom, and after a day they are gone',
  async (t) => {
    const name = new Followed({ families: 'v4' });
    await name.answer(4, found(10_000, '192.0.2.1'));
    const waits = [];
    name.untilAsked();
    for (let i = 0; i < 6; i++) {
      await name.answer(4, failed);
      waits.push(name.untilAsked());
    }
    t.same(waits, [500, 1000, 2000, 4000, 4000, 4000], 'half of the ceiling at least, and no more than it');
    t.same(name.changes, [{ v6: [], v4: ['192.0.2.1'] }]);
    name.clock.advance(DAY_MS);
    await name.answer(4, failed);
    t.same(name.changes.at(-1), { v6: [], v4: [] });
  },
);

t.test('a family that fails keeps its addresses and is asked again soon', async (t) => {
  const name = new Followed();
  await name.both(found(60_000, '2001:db8::1'), found(60_000, '192.0.2.1'));
  name.untilAsked();
  await name.both(failed, found(60_000, '192.0.2.9'));
  t.same(name.changes.at(-1), { v6: ['2001:db8::1'], v4: ['192.0.2.9'] });
  t.equal(name.untilAsked(), 500);
});

t.test('that a name is gone is an answer: its addresses go', async (t) => {
  const name = new Followed();
  await name.both(none, found(10_000, '192.0.2.1'));
  name.untilAsked();
  await name.both(none, none);
  t.same(name.changes.at(-1), { v6: [], v4: [] });
  t.equal(name.untilAsked(), 500, 'and it is asked for again, for it may come back');
  const nobody = new Followed();
  await nobody.both(none, none);
  t.same(nobody.changes, [{ v6: [], v4: [] }], 'who waits for a first answer is told that there is none');
});
