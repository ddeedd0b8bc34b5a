/** Balancers by hash: which are taken, with which defaults, and what is refused in which words. */
import t from 'tap';
import { Cluster, Cluster_DiscoveryType, Cluster_LbPolicy } from '#api/generated/envoy/config/cluster/v3/cluster.ts';
import type { RouteAction_HashPolicy } from '#api/generated/envoy/config/route/v3/route.ts';
import { Maglev } from '#api/generated/envoy/extensions/load_balancing_policies/maglev/v3/maglev.ts';
import {
  RingHash,
  RingHash_HashFunction,
} from '#api/generated/envoy/extensions/load_balancing_policies/ring_hash/v3/ring_hash.ts';
import type { Any } from '#api/generated/google/protobuf/any.ts';
import { HashPolicy } from '#api/generated/tulle/config/v1/config.ts';
import { EXTENSION } from '#api/names.ts';
import { decodeCluster } from '../../../proxy/config/decode/cluster.ts';
import { ADS, any, bytes, outcome } from '../../support/xds-messages.ts';

type Policies = RouteAction_HashPolicy[];
type Specifier = RouteAction_HashPolicy['policySpecifier'];

const key = (policySpecifier: Specifier, terminal = false): RouteAction_HashPolicy => ({ policySpecifier, terminal });

function decoded(lbPolicy: Cluster_LbPolicy, config: Any | null, policies: Policies = []): unknown {
  const { balancer, ...rest } = outcome(
    decodeCluster(
      bytes(Cluster, {
        name: 'a:80',
        clusterDiscoveryType: { $case: 'type', value: Cluster_DiscoveryType.EDS },
        edsClusterConfig: { edsConfig: ADS },
        lbPolicy,
        ...(config !== null && {
          loadBalancingPolicy: { policies: [{ typedExtensionConfig: { name: 'p', typedConfig: config } }] },
        }),
        metadata: {
          typedFilterMetadata: { 'tulle.hash_policy': any(EXTENSION.hashPolicy, HashPolicy, { policies }) },
        },
      }),
    ),
  ) as { balancer?: unknown };
  return balancer ?? Object.values(rest);
}

t.test('sizes are those given, else those of Envoy', async (t) => {
  const ring = { kind: 'ring-hash', hashOn: [], minSize: 1024, maxSize: 8_388_608 };
  t.same(decoded(Cluster_LbPolicy.RING_HASH, null), ring);
  t.same(decoded(Cluster_LbPolicy.RANDOM, any(EXTENSION.ringHash, RingHash, {})), ring);
  const given = any(EXTENSION.ringHash, RingHash, { minimumRingSize: 8n, maximumRingSize: 16n });
  t.same(decoded(Cluster_LbPolicy.RANDOM, given), { ...ring, minSize: 8, maxSize: 16 });
  const maglev = { kind: 'maglev', hashOn: [], tableSize: 65_537 };
  t.same(decoded(Cluster_LbPolicy.MAGLEV, null), maglev);
  t.same(decoded(Cluster_LbPolicy.RANDOM, any(EXTENSION.maglev, Maglev, { tableSize: 7n })), {
    ...maglev,
    tableSize: 7,
  });
});

t.test('keys keep their order and whether they are the last', async (t) => {
  const policies = [
    key({ $case: 'header', value: { headerName: 'X-User' } }, true),
    key({ $case: 'cookie', value: { name: 'Session', path: '' } }),
    key({ $case: 'queryParameter', value: { name: 'Q' } }),
    key({ $case: 'connectionProperties', value: { sourceIp: true } }),
  ];
  t.match(decoded(Cluster_LbPolicy.MAGLEV, null, policies), {
    hashOn: [
      { kind: 'header', name: 'x-user', terminal: true },
      { kind: 'cookie', name: 'Session', terminal: false },
      { kind: 'query', name: 'Q', terminal: false },
      { kind: 'address', name: '', terminal: false },
    ],
  });
});

t.test('what is out of bounds or not ours is refused', async (t) => {
  const at = 'load_balancing_policy.policies[0].typed_extension_config.typed_config';
  const ring = { hashFunction: RingHash_HashFunction.MURMUR_HASH_2, minimumRingSize: 9n, maximumRingSize: 8n };
  t.same(decoded(Cluster_LbPolicy.RANDOM, any(EXTENSION.ringHash, RingHash, ring)), [
    `${at}.hash_function: MURMUR_HASH_2 is not supported (supported: XX_HASH)`,
    `${at}.maximum_ring_size: must be from the minimum to 8388608`,
  ]);
  const refusals: readonly (readonly [bigint, string])[] = [
    [0n, 'must be a prime number'],
    [65_536n, 'must be a prime number'],
    [5_000_011n, 'value 5000011 is not supported (supported: at most 2097143)'],
    [5_000_012n, 'must be at most 5000011'],
  ];
  for (const [tableSize, sentence] of refusals) {
    const maglev = any(EXTENSION.maglev, Maglev, { tableSize });
    t.same(decoded(Cluster_LbPolicy.RANDOM, maglev), [`${at}.table_size: ${sentence}`]);
  }
  const policies = [
    key({ $case: 'header', value: { headerName: '' } }),
    key({ $case: 'cookie', value: { name: 'a', ttl: { seconds: 1n, nanos: 0 }, path: '' } }),
    key({ $case: 'connectionProperties', value: { sourceIp: false } }),
    key(undefined),
  ];
  const where = 'metadata.typed_filter_metadata["tulle.hash_policy"].policies';
  t.same(decoded(Cluster_LbPolicy.MAGLEV, null, policies), [
    `${where}[0]: must have a name`,
    `${where}[1].cookie.ttl: a cookie that we make is not supported (leave it out)`,
    `${where}[2].connection_properties.source_ip: must be true`,
    `${where}[3]: this policy is not supported (supported: header, cookie, query_parameter, connection_properties)`,
  ]);
});
