/** `slow_start_config` of the policies that know it: defaults, and what is out of bounds. */
import t from 'tap';
import { Cluster, Cluster_DiscoveryType } from '#api/generated/envoy/config/cluster/v3/cluster.ts';
import { SlowStartConfig } from '#api/generated/envoy/extensions/load_balancing_policies/common/v3/common.ts';
import { LeastRequest } from '#api/generated/envoy/extensions/load_balancing_policies/least_request/v3/least_request.ts';
import { RoundRobin } from '#api/generated/envoy/extensions/load_balancing_policies/round_robin/v3/round_robin.ts';
import type { Any } from '#api/generated/google/protobuf/any.ts';
import { PeakEwma } from '#api/generated/tulle/config/v1/config.ts';
import { EXTENSION } from '#api/names.ts';
import { decodeCluster } from '../../../proxy/config/decode/cluster.ts';
import { ADS, any, bytes, outcome } from '../../support/xds-messages.ts';

function decoded(config: Any): unknown {
  const cluster = bytes(Cluster, {
    name: 'a:80',
    clusterDiscoveryType: { $case: 'type', value: Cluster_DiscoveryType.EDS },
    edsClusterConfig: { edsConfig: ADS },
    loadBalancingPolicy: { policies: [{ typedExtensionConfig: { name: 'p', typedConfig: config } }] },
  });
  return outcome(decodeCluster(cluster));
}

const slow = (aggression: number | null, minWeightPercent: number | null): SlowStartConfig =>
  SlowStartConfig.fromPartial({
    slowStartWindow: { seconds: 30n, nanos: 0 },
    ...(aggression !== null && { aggression: { defaultValue: aggression, runtimeKey: 'a' } }),
    ...(minWeightPercent !== null && { minWeightPercent: { value: minWeightPercent } }),
  });

t.test("what is not said is Envoy's default, and no window is none", async (t) => {
  const ewma = any(EXTENSION.peakEwma, PeakEwma, { slowStartConfig: slow(null, null) });
  t.match(decoded(ewma), { balancer: { slowStart: { windowMs: 30_000, aggression: 1, minPercent: 10 } } });
  const least = any(EXTENSION.leastRequest, LeastRequest, { slowStartConfig: slow(2, 0) });
  t.match(decoded(least), { balancer: { slowStart: { windowMs: 30_000, aggression: 2, minPercent: 0 } } });
  const turns = any(EXTENSION.roundRobin, RoundRobin, { slowStartConfig: {} });
  t.strictSame((decoded(turns) as { balancer: unknown }).balancer, { kind: 'round-robin' });
});

t.test('what is out of bounds is refused', async (t) => {
  const where = 'load_balancing_policy.policies[0].typed_extension_config.typed_config.slow_start_config';
  t.same(decoded(any(EXTENSION.roundRobin, RoundRobin, { slowStartConfig: slow(-1, 101) })), [
    `${where}.aggression.default_value: must be above 0`,
    `${where}.min_weight_percent: must be from 0 to 100`,
  ]);
});
