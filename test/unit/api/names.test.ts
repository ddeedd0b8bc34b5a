/**
 * Names on the wire: what other clients and control planes rely on, letter by letter.
 */
import t from 'tap';
import {
  addressName,
  destinationName,
  EXTENSION,
  inboundCluster,
  METADATA,
  parseDestination,
  TYPE,
  TYPE_ORDER,
} from '#api/names.ts';

t.test('names are put together as docs/wire.md says', async (t) => {
  t.same(
    [
      destinationName('reviews.shop.svc.cluster.local', 8080),
      addressName('10.96.0.12', 8080),
      addressName('fd00::12', 8080),
      inboundCluster(9080),
    ],
    ['reviews.shop.svc.cluster.local:8080', '10.96.0.12:8080', '[fd00::12]:8080', 'inbound|9080'],
  );
});

t.test('a destination is read back as it was written, and anything else is refused', async (t) => {
  const cases: [string, { host: string; port: number } | null][] = [
    ['reviews.shop.svc.cluster.local:8080', { host: 'reviews.shop.svc.cluster.local', port: 8080 }],
    ['10.96.0.12:1', { host: '10.96.0.12', port: 1 }],
    ['[fd00::12]:65535', { host: 'fd00::12', port: 65_535 }],
    ['reviews', null],
    ['reviews:', null],
    [':8080', null],
    ['reviews:0', null],
    ['reviews:65536', null],
    ['reviews:http', null],
    ['reviews:+80', null],
    ['reviews: 80', null],
    ['reviews:000080', null],
    ['', null],
  ];
  t.same(
    cases.map(([name]) => [name, parseDestination(name)]),
    cases,
  );
});

t.test('updates go out before what refers to them', async (t) => {
  t.same([...TYPE_ORDER].toSorted(), Object.values(TYPE).toSorted(), 'each type once');
  for (const [before, after] of [
    [TYPE.secret, TYPE.cluster],
    [TYPE.cluster, TYPE.endpoints],
    [TYPE.cluster, TYPE.route],
    [TYPE.route, TYPE.listener],
  ] as const) {
    t.ok(TYPE_ORDER.indexOf(before) < TYPE_ORDER.indexOf(after), `${before} before ${after}`);
  }
});

t.test('no two things share a name', async (t) => {
  const names = [...Object.values(TYPE), ...Object.values(EXTENSION), ...Object.values(METADATA)];
  t.equal(new Set(names).size, names.length);
});
