/** Token buckets: how many go through, when the next one does, and that neither many keys nor a clock that jumps break them. */
import t from 'tap';
import { pathVariables } from '../../../proxy/filters/rate-limit.ts';
import { allocateRates, RateTable } from '../../../proxy/filters/rate-table.ts';

const START = Date.UTC(2026, 0, 1);
/** Ten a second, at most five at once. */
const BUCKET = { tokenNs: 100_000_000n, size: 5n };

t.test('a full bucket lets its size through at once, and then one for each token that comes', async (t) => {
  const table = new RateTable(allocateRates());
  const left = Array.from({ length: 5 }, () => table.take('a', BUCKET, START)).map((taken) => taken.remaining);
  t.same(left, [4, 3, 2, 1, 0]);
  t.same(table.take('a', BUCKET, START), { allowed: false, remaining: 0, retryMs: 100, fullMs: 500 });
  t.notOk(table.take('a', BUCKET, START + 99).allowed);
  t.ok(table.take('a', BUCKET, START + 100).allowed);
  t.notOk(table.take('a', BUCKET, START + 100).allowed);
  let allowed = 0;
  for (let ms = 0; ms < 10_000; ms++) if (table.take('a', BUCKET, START + 200 + ms).allowed) allowed++;
  t.ok(allowed >= 99 && allowed <= 101, `${allowed} in ten seconds`);
});

t.test('keys do not touch each other, and threads that share the memory share the buckets', async (t) => {
  const memory = allocateRates();
  const [one, other] = [new RateTable(memory), new RateTable(memory)];
  for (let i = 0; i < 5; i++) t.ok((i % 2 === 0 ? one : other).take('a', BUCKET, START).allowed);
  t.notOk(one.take('a', BUCKET, START).allowed);
  t.notOk(other.take('a', BUCKET, START).allowed);
  t.ok(other.take('b', BUCKET, START).allowed);
});

t.test('more keys than there are places: a busy one keeps its bucket while idle ones go', async (t) => {
  const table = new RateTable(allocateRates());
  const slow = { tokenNs: 60_000_000_000n, size: 1n };
  t.ok(table.take('busy', slow, START).allowed);
  let refused = 0;
  for (let i = 0; i < 100_000; i++) {
    table.take(`key ${i}`, BUCKET, START + i / 100);
    if (i % 1000 === 0 && !table.take('busy', slow, START + i / 100).allowed) refused++;
  }
  t.equal(refused, 100);
});

t.test('a wall clock that is set back an hour stops nobody for an hour', async (t) => {
  const table = new RateTable(allocateRates());
  for (let i = 0; i < 5; i++) table.take('a', BUCKET, START);
  t.notOk(table.take('a', BUCKET, START - 3_600_000).allowed);
  t.ok(table.take('a', BUCKET, START - 3_600_000 + 600).allowed);
});

t.test('variables of a path', async (t) => {
  const segments = ['users', null, 'orders', null];
  t.equal(pathVariables(segments, '/users/7/orders/1?x=/'), '/7/1');
  for (const path of ['/users/7/orders', '/users/7/orders/1/2', '/user/7/orders/1', '*', '']) {
    t.equal(pathVariables(segments, path), null, path);
  }
  t.equal(pathVariables([''], '/'), '');
});
