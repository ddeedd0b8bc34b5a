/** TLSRoute and TCPRoute: versions, bounds and rules of Gateway API. */
import t from 'tap';
import { Problems } from '#base/problems.ts';
import { parseObject } from '../../../control-plane/kinds/registry.ts';
import { parseTcpRoute } from '../../../control-plane/kinds/tcp-route.ts';
import { parseTlsRoute } from '../../../control-plane/kinds/tls-route.ts';
import { reading } from './reading.ts';

const object = (kind: string, spec: unknown, version = 'v1'): unknown => ({
  apiVersion: `gateway.networking.k8s.io/${version}`,
  kind,
  metadata: { name: 'db', namespace: 'shop' },
  spec,
});
const tls = (spec: object): readonly string[] => reading(parseTlsRoute, object('TLSRoute', spec)).lines;
const tcp = (spec: object): readonly string[] => reading(parseTcpRoute, object('TCPRoute', spec)).lines;
const RULES = [{ backendRefs: [{ name: 'db-a', port: 443 }] }];

function outcome(kind: string, version: string): string {
  const spec = kind === 'TLSRoute' ? { hostnames: ['db.example'], rules: RULES } : { rules: RULES };
  const context = { problems: new Problems(), place: null, placeOf: () => null };
  return parseObject(object(kind, spec, version), context).outcome;
}

t.test('a full TLSRoute is read', async (t) => {
  const spec = {
    parentRefs: [{ group: '', kind: 'Service', name: 'db', sectionName: 'tls' }],
    hostnames: ['db.example', '*.db.example'],
    rules: [{ name: 'all', backendRefs: [{ name: 'db-a', port: 443, weight: 9 }] }],
  };
  const { object: route, lines } = reading(parseTlsRoute, object('TLSRoute', spec));
  t.same(lines, []);
  t.same(route?.spec.hostnames, ['db.example', '*.db.example']);
  t.same(route?.spec.rules, [
    { name: 'all', backendRefs: [{ group: '', kind: 'Service', namespace: '', name: 'db-a', port: 443, weight: 9 }] },
  ]);
});

t.test('both kinds are read in the versions that API servers serve', async (t) => {
  t.same(
    ['v1', 'v1alpha3', 'v1alpha2', 'v1beta1'].map((version) => outcome('TLSRoute', version)),
    ['parsed', 'parsed', 'parsed', 'refused'],
  );
  t.same(
    ['v1', 'v1alpha2', 'v1alpha3'].map((version) => outcome('TCPRoute', version)),
    ['parsed', 'parsed', 'refused'],
  );
});

t.test('mistakes are told with path and reason', async (t) => {
  t.same(
    [
      tls({ rules: RULES }),
      tls({ hostnames: [], rules: RULES }),
      tls({ hostnames: ['10.0.0.1', 'a.*.example', 'Db.example'], rules: RULES }).map((line) => line.split(' (')[0]),
      tls({ hostnames: ['db.example'], rules: [...RULES, ...RULES] }),
      tls({ hostnames: ['db.example'], rules: [{ backendRefs: [] }] }),
      tls({ hostnames: ['db.example'], rules: [{ backendRefs: [{ name: 'db-a' }] }] }),
      tcp({ rules: [{ backendRefs: [{ name: 'a', port: 1, filters: [] }] }] }).map((line) => line.split(' (')[0]),
      tcp({ hostnames: ['db.example'], rules: RULES }).map((line) => line.split(' (')[0]),
      tcp({ rules: [{}] }),
    ],
    [
      ['spec.hostnames: is missing'],
      ['spec.hostnames: has 0 items, must have 1 to 1024'],
      [
        'spec.hostnames[0]: "10.0.0.1" is an address, and server names never are',
        'spec.hostnames[1]: "a.*.example" is not valid here',
        'spec.hostnames[2]: "Db.example" is not valid here',
      ],
      ['spec.rules: has 2 items, must have 1 to 1'],
      ['spec.rules[0].backendRefs: has 0 items, must have 1 to 16'],
      ['spec.rules[0].backendRefs[0]: a reference to a Service must have a port'],
      ['spec.rules[0].backendRefs[0].filters: is an unknown field'],
      ['spec.hostnames: is an unknown field'],
      ['spec.rules[0].backendRefs: is missing'],
    ],
  );
});
