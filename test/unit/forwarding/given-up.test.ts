/** Which traces were tried again in vain, and for how long that is known. */
import t from 'tap';
import { allocateGivenUp, GivenUp } from '../../../proxy/forwarding/given-up.ts';

t.test('a trace that gave up is known for ten seconds, to every thread that shares the memory', async (t) => {
  const memory = allocateGivenUp();
  const [one, other] = [new GivenUp(memory), new GivenUp(memory)];
  const now = Date.UTC(2026, 0, 1);
  one.note('0af7651916cd43dd8448eb211c80319c', now);
  t.ok(other.has('0af7651916cd43dd8448eb211c80319c', now + 10_000));
  t.notOk(other.has('0af7651916cd43dd8448eb211c80319c', now + 11_000));
  t.notOk(other.has('1af7651916cd43dd8448eb211c80319c', now));
  t.notOk(new GivenUp().has('0af7651916cd43dd8448eb211c80319c', now));
});
