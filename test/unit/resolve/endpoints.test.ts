/** From addresses to endpoints; the hosts file; the order in which addresses are tried. */
import t from 'tap';
import { FakeClock } from '#base/fake-clock.ts';
import type { DnsConfig } from '../../../proxy/config/snapshot.ts';
import { AddressOrder } from '../../../proxy/net/address-order.ts';
import { endpointsOf } from '../../../proxy/resolve/endpoints.ts';
import { parseHosts } from '../../../proxy/resolve/hosts.ts';
import type { Addresses } from '../../../proxy/resolve/name.ts';

function dns(more: Partial<DnsConfig> = {}): DnsConfig {
  return {
    names: [{ host: 'api.example', port: 443 }],
    logical: false,
    families: 'all',
    respectTtl: true,
    refreshMs: 1000,
    failureMs: 1000,
    maxFailureMs: 1000,
    ...more,
  };
}

const shape = (config: DnsConfig, found: readonly (Addresses | null)[]): string[] =>
  endpointsOf(config, found).map(
    ({ address, otherAddresses = [], port }) => `${[address, ...otherAddresses].join(' ')} ${port}`,
  );

const of = (v6: string[], v4: string[], more: Partial<DnsConfig> = {}): string[] => shape(dns(more), [{ v6, v4 }]);

t.test('an endpoint is a pair of IPv6 and IPv4 where there are both', async (t) => {
  t.same(of(['a6', 'b6'], ['a4', 'b4']), ['a6 a4 443', 'b6 b4 443']);
  t.same(of(['a6'], ['a4', 'b4']), ['a6 a4 443', 'b4 443'], 'IPv4 that is left over stands alone');
  t.same(of(['a6', 'b6'], ['a4']), ['a6 a4 443', 'b6 a4 443'], 'IPv6 never does');
  t.same(of([], ['a4', 'b4']), ['a4 443', 'b4 443']);
  t.same(of(['a6'], ['a4', 'b4'], { logical: true }), ['a6 a4 b4 443'], 'a logical name is one endpoint');
  t.same(of(['a6'], ['a4'], { families: 'prefer-v6' }), ['a6 443']);
  t.same(of(['a6'], ['a4'], { families: 'prefer-v4' }), ['a4 443']);
  t.same(of(['a6'], [], { families: 'prefer-v4' }), ['a6 443']);
});

t.test('several names make one set, each place once, as far as they are known', async (t) => {
  const names = [
    { host: 'a.example', port: 1 },
    { host: 'b.example', port: 2 },
    { host: 'c.example', port: 1 },
  ];
  const a = { v6: [], v4: ['192.0.2.1'] };
  t.same(shape(dns({ names }), [a, null, { v6: [], v4: ['192.0.2.1', '192.0.2.3'] }]), ['192.0.2.1 1', '192.0.2.3 1']);
});

t.test('the hosts file is read as hosts(5) says', async (t) => {
  const text =
    '# comment\n127.0.0.1 localhost\n192.0.2.1\tApi.Example  alias # more\n2001:db8::1 api.example\nnot-an-address x\n';
  t.same(
    [...parseHosts(text)],
    [
      ['localhost', ['127.0.0.1']],
      ['api.example', ['192.0.2.1', '2001:db8::1']],
      ['alias', ['192.0.2.1']],
    ],
  );
});

t.test('the address that answered last is tried first, for ten minutes', async (t) => {
  const clock = new FakeClock();
  const order = new AddressOrder(['2001:db8::1', '192.0.2.1'], clock);
  const list = (): string[] => order.inOrder().map(({ address, family }) => `${address} ${family}`);
  t.same(list(), ['2001:db8::1 6', '192.0.2.1 4']);
  order.answered('192.0.2.1');
  t.same(list(), ['192.0.2.1 4', '2001:db8::1 6']);
  clock.advance(600_000);
  t.same(list(), ['2001:db8::1 6', '192.0.2.1 4']);
});
