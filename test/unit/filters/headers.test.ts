/** Header edits of a route, and the headers that only the mesh may set. */
import t from 'tap';
import type { HeaderEditsConfig } from '../../../proxy/config/snapshot.ts';
import { applyEdits } from '../../../proxy/filters/headers.ts';
import { clientCertOf, stripIdentity } from '../../../proxy/filters/identity.ts';
import { HeaderList } from '../../../proxy/http/headers.ts';

function edited(fields: readonly string[], edits: HeaderEditsConfig): string[] {
  const headers = new HeaderList([...fields]);
  applyEdits(headers, edits);
  return headers.fields;
}

t.test('removals come first, then changes in their order', async (t) => {
  t.same(
    edited(['a', '1', 'b', '1', 'b', '2', 'c', '1', 'd', '1'], {
      remove: ['a', 'missing'],
      changes: [
        { name: 'a', value: 'new', how: 'add-if-absent' },
        { name: 'b', value: 'only', how: 'set' },
        { name: 'c', value: '2', how: 'append' },
        { name: 'c', value: '3', how: 'add-if-absent' },
        { name: 'd', value: '2', how: 'set-if-present' },
        { name: 'e', value: '1', how: 'set-if-present' },
        { name: 'f', value: '1', how: 'set' },
      ],
    }),
    ['b', 'only', 'c', '1', 'd', '2', 'a', 'new', 'c', '2', 'f', '1'],
  );
});

t.test('framing and routing fields cannot be edited', async (t) => {
  const names = [
    'host',
    ':path',
    'content-length',
    'transfer-encoding',
    'connection',
    'upgrade',
    'te',
    'trailer',
    'expect',
  ];
  const fields = ['te', 'trailers', 'x', '1'];
  const changes = names.map((name) => ({ name, value: 'evil', how: 'set' as const }));
  t.same(edited(fields, { remove: names, changes }), fields);
});

t.test('what a stranger says about identity is removed, with its twins in underscores', async (t) => {
  const headers = new HeaderList(
    [
      'x-forwarded-client-cert URI=spiffe://evil accept */* x_forwarded_client_cert a x-forwarded_client-cert a',
      'x-envoy-original-path / x_envoy_retry_on 5xx tulle-reason x x-envoy-original-path /b tulle_reason x l5d-client-id x',
      'x-forwarded-for 1.2.3.4 x-envoys mine tulle cloth x-forwarded-client-certificate mine',
    ].flatMap((fields) => fields.split(' ')),
  );
  stripIdentity(headers);
  t.equal(
    headers.fields.join(' '),
    'accept */* x-forwarded-for 1.2.3.4 x-envoys mine tulle cloth x-forwarded-client-certificate mine',
  );
});

t.test('what hops tell each other stays when a peer or the application beside us says it', async (t) => {
  const fields = ['x-envoy-attempt-count', '2', 'x-envoy-retry-on', '5xx', 'x-envoy-expected-rq-timeout-ms', '9'];
  const trusted = new HeaderList([...fields]);
  t.ok(stripIdentity(trusted, true));
  t.same(trusted.fields, ['x-envoy-attempt-count', '2', 'x-envoy-expected-rq-timeout-ms', '9']);
  const strange = new HeaderList([...fields]);
  t.notOk(stripIdentity(strange));
  t.same(strange.fields, []);
});

t.test('the client is who its certificate says, quoted where it must be', async (t) => {
  const [web, cart] = ['spiffe://cluster.local/ns/shop/sa/web', 'spiffe://cluster.local/ns/shop/sa/cart'];
  t.same(
    [
      clientCertOf(web, cart),
      clientCertOf(web, ''),
      clientCertOf('', cart),
      clientCertOf('spiffe://d/a,URI=b', 'spiffe://d/q"\\;'),
    ],
    [`By=${cart};URI=${web}`, `URI=${web}`, '', String.raw`By="spiffe://d/q\"\\;";URI="spiffe://d/a,URI=b"`],
  );
});
