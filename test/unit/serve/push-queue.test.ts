/**
 * Who gets a push, when, and how often.
 */
import t from 'tap';
import { TYPE } from '#api/names.ts';
import { STEPS, isServedType } from '../../../control-plane/serve/order.ts';
import { PushQueue } from '../../../control-plane/serve/push-queue.ts';

/** A queue whose turns and flushes the test calls. */
function playedQueue(perTurn = 10): {
  queue: PushQueue<string>;
  served: string[];
  turn: () => void;
  flush: (item: string, more?: boolean) => void;
} {
  const deferred: (() => void)[] = [];
  const served: string[] = [];
  const flushes = new Map<string, (more: boolean) => void>();
  const queue = new PushQueue<string>({
    serve: (item, done) => {
      served.push(item);
      flushes.set(item, done);
    },
    defer: (run) => deferred.push(run),
    perTurn,
  });
  return {
    queue,
    served,
    turn: () => deferred.shift()?.(),
    flush: (item, more = false) => flushes.get(item)?.(more),
  };
}

t.test('many marks are one push', async (t) => {
  const { queue, served, turn } = playedQueue();
  for (const item of ['a', 'b', 'a', 'a']) queue.mark(item);
  turn();
  turn();
  t.same(served, ['a', 'b']);
});

t.test('what changes while a push is on its way is merged into one more', async (t) => {
  const { queue, served, turn, flush } = playedQueue();
  queue.mark('a');
  turn();
  queue.mark('a');
  queue.mark('a');
  turn();
  t.same(served, ['a']);
  flush('a');
  turn();
  flush('a');
  turn();
  t.same([served, queue.size], [['a', 'a'], 0]);
});

t.test('a slow reader keeps nobody else waiting', async (t) => {
  const { queue, served, turn, flush } = playedQueue();
  queue.mark('slow');
  queue.mark('quick');
  turn();
  for (let i = 0; i < 3; i++) {
    flush('quick', true);
    turn();
  }
  t.same(served, ['slow', 'quick', 'quick', 'quick', 'quick']);
});

t.test('the event loop gets its turn between portions', async (t) => {
  const { queue, served, turn } = playedQueue(2);
  for (const item of ['a', 'b', 'c', 'd', 'e']) queue.mark(item);
  turn();
  t.same(served, ['a', 'b']);
  turn();
  turn();
  t.same(served, ['a', 'b', 'c', 'd', 'e']);
});

t.test('who has left is not served', async (t) => {
  const { queue, served, turn, flush } = playedQueue();
  queue.mark('gone');
  queue.mark('leaves');
  queue.remove('gone');
  turn();
  queue.remove('leaves');
  flush('leaves', true);
  turn();
  t.same([served, queue.size], [['leaves'], 0]);
});

t.test('what is referred to comes first, and goes last', async (t) => {
  const names = new Map(Object.entries(TYPE).map(([name, url]) => [url as string, name]));
  t.same(
    STEPS.map(({ type, phase }) => `${phase} ${names.get(type)}`),
    [
      ...['secret', 'cluster', 'endpoints', 'route', 'listener'].map((name) => `update ${name}`),
      ...['listener', 'route', 'endpoints', 'cluster', 'secret'].map((name) => `removal ${name}`),
    ],
  );
  t.same([isServedType(TYPE.cluster), isServedType('type.googleapis.com/other')], [true, false]);
});
