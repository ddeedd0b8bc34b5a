/**
 * When an application counts as ended: quiet for a second and nothing served, whatever came before the watch began.
 */
import t from 'tap';
import { FakeClock } from '#base/fake-clock.ts';
import { watchForEnd } from '../../../proxy/worker/application-end.ts';

/** Time passes in steps; what was asked is answered between them. */
async function pass(clock: FakeClock, ms: number): Promise<void> {
  for (let left = ms; left > 0; left -= 250) {
    clock.advance(250);
    await Promise.resolve();
    await Promise.resolve();
  }
}

t.test('an application ends when it has been quiet for a second and serves nothing', async (t) => {
  const clock = new FakeClock();
  let quietSinceMs: number | null = -60_000;
  let serving = true;
  let asked = 0;
  let ended = 0;
  const quietMs = (): number => (quietSinceMs === null ? 0 : clock.now() - quietSinceMs);
  const isServing = (): Promise<boolean> => {
    asked++;
    return Promise.resolve(serving);
  };
  watchForEnd({ clock, quietMs, isServing }, () => ended++);
  await pass(clock, 750);
  t.same([asked, ended], [0, 0], 'quiet before the watch began does not count');
  await pass(clock, 500);
  t.same([asked, ended], [2, 0], 'its ports are open');
  serving = false;
  quietSinceMs = null;
  await pass(clock, 1000);
  t.same([asked, ended], [2, 0], 'it talks: its ports are not asked');
  quietSinceMs = clock.now();
  await pass(clock, 1000);
  t.same([asked, ended], [3, 1]);
  await pass(clock, 5000);
  t.same([asked, ended, clock.size], [3, 1, 0], 'told once');
});

t.test('a watch that was given up tells nothing, even while it asks', async (t) => {
  const clock = new FakeClock();
  const answer = Promise.withResolvers<boolean>();
  let ended = 0;
  const watch = watchForEnd({ clock, quietMs: () => clock.now(), isServing: () => answer.promise }, () => ended++);
  await pass(clock, 2000);
  watch.cancel();
  answer.resolve(false);
  await pass(clock, 2000);
  t.same([ended, clock.size], [0, 0]);
});
