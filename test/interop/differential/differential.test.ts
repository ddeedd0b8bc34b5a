/**
 * Our sidecar against Envoy: random valid manifests and requests, the same control plane, fake upstreams that write down what reached them.
 * Route, headers, rewrites, redirects, retries by status, timeouts and answers must agree; what is meant to differ has a name
 * (`compare.ts`) and a section in docs/envoy-differences.md, and everything else fails with its seed.
 * DIFFERENTIAL_SEED=n begins with another seed, DIFFERENTIAL_CASES=n runs more or fewer.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { envoySkip } from '../../support/envoy.ts';
import { DELIBERATE, differences, type Outcome, type Pair } from './compare.ts';
import { CONTENDERS, Rig, type Contender } from './contenders.ts';
import { makeWorld, weightedWorld, type Ask } from './world.ts';

const SERVICES = 25;
const ASKS = 10;
const CASES = Number(process.env['DIFFERENTIAL_CASES'] ?? 2000);
const FIRST_SEED = Number(process.env['DIFFERENTIAL_SEED'] ?? 1);
/** Percent of the requests to each backend, and requests. */
const SHARES = { alpha: 70, beta: 25, gamma: 5 };
const DRAWS = 2000;
/** Requests under way at once; within the limits that both have by default. */
const AT_ONCE = 16;
const PAGE = readFileSync(join(import.meta.dirname, '../../../docs/envoy-differences.md'), 'utf8');

async function outcome(rig: Rig, contender: Contender, ask: Ask): Promise<Outcome> {
  const answer = await rig.ask(contender, ask);
  return { answer, reached: rig.upstreams.reachedBy(ask.id, contender) };
}

async function pairs(rig: Rig, asks: readonly Ask[]): Promise<Pair[]> {
  const left = [...asks];
  const done: Pair[] = [];
  const work = async (): Promise<void> => {
    for (let ask = left.pop(); ask !== undefined; ask = left.pop()) {
      const [tulle, envoy] = await Promise.all(CONTENDERS.map((contender) => outcome(rig, contender, ask)));
      if (tulle !== undefined && envoy !== undefined) done.push({ ask, tulle, envoy });
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  return done;
}

/** Asked again with nothing else under way: times are short, and a busy machine may miss one. */
async function isLasting(rig: Rig, ask: Ask): Promise<boolean> {
  for (const turn of ['a', 'b']) {
    const again = { ...ask, id: `${ask.id}${turn}` };
    rig.upstreams.plan([again]);
    const [pair] = await pairs(rig, [again]);
    if (pair !== undefined && (differences(pair).length === 0 || DELIBERATE.some((d) => d.explains(pair))))
      return false;
  }
  return true;
}

t.setTimeout(180_000);

t.test('Tulle and Envoy do the same with the same resources', { skip: envoySkip }, async (t) => {
  const rig = await Rig.start(t.testdir());
  t.teardown(() => rig.close());
  const explained = new Map<string, number>();
  const unexplained: string[] = [];
  let cases = 0;
  let forwarded = 0;
  let retried = 0;
  let passing = 0;
  const seeds = Array.from({ length: Math.ceil(CASES / (SERVICES * ASKS)) }, (_, i) => FIRST_SEED + i);
  t.comment(`seeds ${seeds[0]} to ${seeds.at(-1)}`);
  for (const seed of seeds) {
    const world = makeWorld(seed, SERVICES, ASKS);
    await rig.apply(world);
    for (const pair of await pairs(rig, world.asks)) {
      cases++;
      if (pair.envoy.reached.length > 0) forwarded++;
      if (pair.envoy.reached.length > 1) retried++;
      const found = differences(pair);
      if (found.length === 0) continue;
      const reason = DELIBERATE.find((deliberate) => deliberate.explains(pair));
      if (reason !== undefined) explained.set(reason.name, (explained.get(reason.name) ?? 0) + 1);
      else if (await isLasting(rig, pair.ask)) {
        unexplained.push(`seed ${seed}, ${JSON.stringify(pair.ask)}\n    ${found.join('\n    ')}`);
      } else passing++;
    }
  }
  t.comment(`${cases} cases, ${forwarded} forwarded, ${retried} tried again`);
  for (const [name, count] of explained) t.comment(`${count} x ${name}`);
  t.comment(`${passing} x gone when asked again alone: a timeout that a busy machine met`);
  t.ok(passing <= cases / 50, 'the machine is not too busy to compare');
  t.same(unexplained.slice(0, 20), [], `${unexplained.length} differences without a reason`);
  t.ok(cases >= CASES && forwarded > cases / 3 && retried > cases / 50, 'the cases are worth their name');
  t.same(rig.warnings, [], 'no manifest is refused, nothing is nacked');
});

t.test('shares of weights agree', { skip: envoySkip }, async (t) => {
  const rig = await Rig.start(t.testdir());
  t.teardown(() => rig.close());
  const world = weightedWorld(SHARES, DRAWS);
  await rig.apply(world);
  const done = await pairs(rig, world.asks);
  for (const contender of CONTENDERS) {
    const drawn = done.map((pair) => pair[contender].reached[0]?.backend);
    for (const [backend, percent] of Object.entries(SHARES)) {
      const share = (100 * drawn.filter((name) => name === backend).length) / DRAWS;
      // Four standard deviations: one run in fifteen thousand fails by chance.
      const margin = 400 * Math.sqrt(((percent / 100) * (1 - percent / 100)) / DRAWS);
      t.ok(Math.abs(share - percent) <= margin, `${contender}: ${share.toFixed(1)} % for ${percent} % to ${backend}`);
    }
  }
});

t.test('every deliberate difference is told to users', (t) => {
  for (const { name } of DELIBERATE) t.match(PAGE, new RegExp(`^## ${name}$`, 'm'));
  t.end();
});
