/** The World changes by batches and keeps what did not change. */
import t from 'tap';
import { objectKey } from '../../../control-plane/kinds/meta.ts';
import { parseObject } from '../../../control-plane/kinds/registry.ts';
import type { AnyObject, ObjectEvent } from '../../../control-plane/sources/world.ts';
import { EMPTY_WORLD } from '../../../control-plane/sources/world.ts';
import { WorldStore } from '../../../control-plane/sources/world-store.ts';
import { reading } from '../kinds/reading.ts';

const APIS = { Namespace: {}, ServiceAccount: {}, Service: { spec: { ports: [{ port: 80 }] } } };

function made(kind: keyof typeof APIS, name: string): AnyObject {
  const { object } = reading(parseObject, {
    apiVersion: 'v1',
    kind,
    metadata: { name, namespace: 'shop' },
    ...APIS[kind],
  });
  if (object?.outcome !== 'parsed') throw new Error(`${kind} ${name} is not in good form`);
  return object.object;
}

const set = (object: AnyObject): ObjectEvent => ({ type: 'set', object });
const gone = ({ kind, meta }: AnyObject): ObjectEvent => ({ type: 'delete', kind, key: objectKey(meta) });

t.test('a batch makes a new World and leaves the old one as it was', async (t) => {
  const store = new WorldStore();
  const [shop, reviews, ratings] = [made('Namespace', 'shop'), made('Service', 'reviews'), made('Service', 'ratings')];
  t.equal(store.apply([set(shop), set(reviews), set(ratings)]), true);
  const first = store.world;
  t.same([[...first.namespaces], [...first.services.keys()]], [[['shop', shop]], ['shop/reviews', 'shop/ratings']]);

  const changed = made('Service', 'reviews');
  t.equal(store.apply([set(changed), gone(ratings)]), true);
  t.same([...store.world.services], [['shop/reviews', changed]]);
  t.equal(store.world.namespaces, first.namespaces, 'maps in which nothing changed stay the same');
  t.equal(store.world.pods, EMPTY_WORLD.pods);
  t.equal(first.services.size, 2, 'the old World is not touched');
  t.equal(store.version, 2);
});

t.test('a batch that changes nothing gives the same World', async (t) => {
  const store = new WorldStore();
  const reviews = made('Service', 'reviews');
  store.apply([set(reviews)]);
  const { world, version } = store;
  t.equal(store.apply([set(reviews), gone(made('Service', 'ratings'))]), false);
  t.equal(store.apply([]), false);
  t.equal(store.world, world);
  t.equal(store.version, version);
});

t.test('events of one batch count in order', async (t) => {
  const store = new WorldStore();
  const reviews = made('Service', 'reviews');
  store.apply([set(reviews), gone(reviews), set(made('ServiceAccount', 'reviews'))]);
  t.same([store.world.services.size, store.world.serviceAccounts.size], [0, 1]);
});
