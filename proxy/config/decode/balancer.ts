/**
 * Which balancer a cluster gets: the first policy that we know in `load_balancing_policy`, else `lb_policy`.
 * That is how Envoy reads the list too, so a control plane can put ours before one that all clients know.
 */
import {
  Cluster_LbPolicy as LbPolicy,
  type Cluster,
  type LoadBalancingPolicy,
} from '#api/generated/envoy/config/cluster/v3/cluster.ts';
import { LeastRequest } from '#api/generated/envoy/extensions/load_balancing_policies/least_request/v3/least_request.ts';
import { Maglev } from '#api/generated/envoy/extensions/load_balancing_policies/maglev/v3/maglev.ts';
import type { SlowStartConfig as EnvoySlowStart } from '#api/generated/envoy/extensions/load_balancing_policies/common/v3/common.ts';
import { RingHash } from '#api/generated/envoy/extensions/load_balancing_policies/ring_hash/v3/ring_hash.ts';
import { RoundRobin } from '#api/generated/envoy/extensions/load_balancing_policies/round_robin/v3/round_robin.ts';
import type { Any } from '#api/generated/google/protobuf/any.ts';
import { PeakEwma } from '#api/generated/tulle/config/v1/config.ts';
import { EXTENSION } from '#api/names.ts';
import type { Problems } from '#base/problems.ts';
import type { BalancerConfig, HashKeyConfig, SlowStartConfig } from '../balancers.ts';
import { durationMs } from './duration.ts';
import { decodeHashOn, decodeMaglev, decodeRingHash } from './hash-policy.ts';
import { readAny, shortType } from './message.ts';
import { at, refuse } from './unsupported.ts';

const ROUND_ROBIN = { kind: 'round-robin' } as const;

const LB_POLICY: Readonly<Record<number, BalancerConfig>> = {
  [LbPolicy.ROUND_ROBIN]: ROUND_ROBIN,
  [LbPolicy.LEAST_REQUEST]: { kind: 'least-request' },
  [LbPolicy.RANDOM]: { kind: 'random' },
  // Goes with ORIGINAL_DST, where there is nothing to choose.
  [LbPolicy.CLUSTER_PROVIDED]: ROUND_ROBIN,
};

const DEFAULT_RTT_MS = 30;
const DEFAULT_DECAY_MS = 10_000;
/** Envoy `SlowStartConfig.min_weight_percent`. */
const DEFAULT_MIN_WEIGHT_PERCENT = 10;

export function decodeBalancer(cluster: Cluster, path: string, problems: Problems): BalancerConfig {
  const hashOn = decodeHashOn(cluster.metadata, problems);
  if (cluster.loadBalancingPolicy !== undefined) {
    return decodePolicies(cluster.loadBalancingPolicy, hashOn, at(path, 'load_balancing_policy'), problems);
  }
  if (cluster.lbPolicy === LbPolicy.RING_HASH) return decodeRingHash(null, hashOn, path, problems);
  if (cluster.lbPolicy === LbPolicy.MAGLEV) return decodeMaglev(null, hashOn, path, problems);
  const known = LB_POLICY[cluster.lbPolicy];
  if (known === undefined) {
    refuse(
      problems,
      at(path, 'lb_policy'),
      `value ${cluster.lbPolicy}`,
      'ROUND_ROBIN, LEAST_REQUEST, RANDOM, RING_HASH, MAGLEV',
    );
  }
  return known ?? ROUND_ROBIN;
}

function decodePolicies(
  list: LoadBalancingPolicy,
  hashOn: readonly HashKeyConfig[],
  path: string,
  problems: Problems,
): BalancerConfig {
  for (const [i, policy] of list.policies.entries()) {
    const where = at(path, `policies[${i}].typed_extension_config.typed_config`);
    const known = decodePolicy(policy.typedExtensionConfig?.typedConfig, hashOn, where, problems);
    if (known !== null) return known;
  }
  const seen = list.policies.map((p) => shortType(p.typedExtensionConfig?.typedConfig?.typeUrl)).join(', ');
  refuse(
    problems,
    at(path, 'policies'),
    `none of ${seen === '' ? 'an empty list' : seen}`,
    'PeakEwma, LeastRequest, RoundRobin, Random, RingHash, Maglev',
  );
  return ROUND_ROBIN;
}

/** Null: not one of ours, the next in the list counts. */
function decodePolicy(
  any: Any | undefined,
  hashOn: readonly HashKeyConfig[],
  path: string,
  problems: Problems,
): BalancerConfig | null {
  switch (any?.typeUrl ?? '') {
    case EXTENSION.peakEwma: {
      const policy = readAny(any, EXTENSION.peakEwma, PeakEwma, path, problems);
      return {
        kind: 'peak-ewma',
        defaultRttMs: durationMs(policy?.defaultRtt, at(path, 'default_rtt'), problems, DEFAULT_RTT_MS, 1),
        decayMs: durationMs(policy?.decay, at(path, 'decay'), problems, DEFAULT_DECAY_MS, 1),
        ...decodeSlowStart(policy?.slowStartConfig, path, problems),
      };
    }
    case EXTENSION.leastRequest: {
      const policy = readAny(any, EXTENSION.leastRequest, LeastRequest, path, problems);
      if ((policy?.choiceCount ?? 2) !== 2)
        refuse(problems, at(path, 'choice_count'), `value ${policy?.choiceCount}`, '2');
      return { kind: 'least-request', ...decodeSlowStart(policy?.slowStartConfig, path, problems) };
    }
    case EXTENSION.ringHash:
      return decodeRingHash(readAny(any, EXTENSION.ringHash, RingHash, path, problems), hashOn, path, problems);
    case EXTENSION.maglev:
      return decodeMaglev(readAny(any, EXTENSION.maglev, Maglev, path, problems), hashOn, path, problems);
    case EXTENSION.roundRobin: {
      const policy = readAny(any, EXTENSION.roundRobin, RoundRobin, path, problems);
      return { ...ROUND_ROBIN, ...decodeSlowStart(policy?.slowStartConfig, path, problems) };
    }
    case EXTENSION.random:
      return { kind: 'random' };
    default:
      return null;
  }
}

/** No window: none, as in Envoy. */
function decodeSlowStart(
  given: EnvoySlowStart | undefined,
  path: string,
  problems: Problems,
): { readonly slowStart?: SlowStartConfig } {
  const where = at(path, 'slow_start_config');
  const windowMs = durationMs(given?.slowStartWindow, at(where, 'slow_start_window'), problems, 0);
  const aggression = given?.aggression?.defaultValue ?? 1;
  const minPercent = given?.minWeightPercent?.value ?? DEFAULT_MIN_WEIGHT_PERCENT;
  if (!(aggression > 0)) problems.add(at(where, 'aggression.default_value'), 'must be above 0');
  if (!(minPercent >= 0 && minPercent <= 100)) problems.add(at(where, 'min_weight_percent'), 'must be from 0 to 100');
  return windowMs === 0 ? {} : { slowStart: { windowMs, aggression, minPercent } };
}
