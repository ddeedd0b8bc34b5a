/**
 * The soak and the bulk of bench/, short: what runs for two hours and over gigabytes by hand must hold for a minute here.
 */
import path from 'node:path';
import t from 'tap';
import { bulk, GROWTH_MB } from '../../bench/bulk.ts';
import { soak } from '../../bench/soak.ts';
import { trends } from '../../bench/soak/verdict.ts';
import { ROOT, takeTurn } from './running-mesh.ts';

const ENTRY = path.join(ROOT, 'cli/main.ts');
const SECONDS = 45;

t.setTimeout(180_000);
const endTurn = await takeTurn();
t.teardown(endTurn);

t.test('a mixed load with changing routes and certificates fails nothing and leaves nothing open', async (t) => {
  const { exchanges, failures, samples } = await soak({
    seconds: SECONDS,
    rate: 40,
    entry: ENTRY,
    out: null,
    sampleMs: 1000,
  });
  t.same([...failures], []);
  t.ok(exchanges > SECONDS * 30, `${exchanges} exchanges`);
  for (const { process, descriptorsBefore, descriptorsAfter } of trends(samples, SECONDS / 3)) {
    t.ok(
      descriptorsAfter <= descriptorsBefore + 3,
      `${process}: descriptors ${descriptorsBefore}, then ${descriptorsAfter}`,
    );
  }
});

t.test('much data each way over each protocol, read slowly, does not stay in memory', async (t) => {
  // More than the bound: a proxy that kept what it carries would fail.
  for (const { way, growthMb } of await bulk(128, ENTRY)) {
    t.ok(growthMb <= GROWTH_MB, `${way}: ${growthMb.toFixed(0)} MB more, at most ${GROWTH_MB}`);
  }
});
