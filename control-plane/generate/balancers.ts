/**
 * How a client chooses among the endpoints of a cluster, and what of a request it hashes for that. Knows no endpoint.
 */
import {
  Cluster_LbPolicy as LbPolicy,
  LoadBalancingPolicy,
  type Cluster,
} from '#api/generated/envoy/config/cluster/v3/cluster.ts';
import { RouteAction_HashPolicy as EnvoyHashPolicy } from '#api/generated/envoy/config/route/v3/route.ts';
import { LeastRequest } from '#api/generated/envoy/extensions/load_balancing_policies/least_request/v3/least_request.ts';
import { Maglev } from '#api/generated/envoy/extensions/load_balancing_policies/maglev/v3/maglev.ts';
import { Random } from '#api/generated/envoy/extensions/load_balancing_policies/random/v3/random.ts';
import {
  RingHash,
  RingHash_HashFunction as HashFunction,
} from '#api/generated/envoy/extensions/load_balancing_policies/ring_hash/v3/ring_hash.ts';
import { RoundRobin } from '#api/generated/envoy/extensions/load_balancing_policies/round_robin/v3/round_robin.ts';
import type { Any } from '#api/generated/google/protobuf/any.ts';
import { HashPolicy, PeakEwma } from '#api/generated/tulle/config/v1/config.ts';
import { EXTENSION, METADATA } from '#api/names.ts';
import type { Balancer, HashKey } from '../model/policy.ts';
import type { Dialect } from './client.ts';
import { duration, pack } from './messages.ts';

/** Of the sidecar and of Envoy alike. */
const MIN_RING_SIZE = 1024n;
/** Linking a ring holds a sidecar up; Envoy's default is 8 Mi. */
const MAX_RING_SIZE = 65_536n;
const MAGLEV_TABLE_SIZE = 65_537n;

const LEAST_REQUEST: readonly [string, Any] = [
  'envoy.load_balancing_policies.least_request',
  pack(EXTENSION.leastRequest, LeastRequest, {}),
];
const ROUND_ROBIN: readonly [string, Any] = [
  'envoy.load_balancing_policies.round_robin',
  pack(EXTENSION.roundRobin, RoundRobin, {}),
];
const RANDOM: readonly [string, Any] = ['envoy.load_balancing_policies.random', pack(EXTENSION.random, Random, {})];
/** Linkerd's figures: 30 ms for an endpoint not yet measured, measurements decay within 10 s. */
const PEAK_EWMA: readonly [string, Any] = [
  'tulle.peak_ewma',
  pack(EXTENSION.peakEwma, PeakEwma, { defaultRtt: duration(30), decay: duration(10_000) }),
];

const RING_HASH: readonly [string, Any] = [
  'envoy.load_balancing_policies.ring_hash',
  pack(EXTENSION.ringHash, RingHash, {
    hashFunction: HashFunction.XX_HASH,
    minimumRingSize: MIN_RING_SIZE,
    maximumRingSize: MAX_RING_SIZE,
  }),
];
const MAGLEV: readonly [string, Any] = [
  'envoy.load_balancing_policies.maglev',
  pack(EXTENSION.maglev, Maglev, { tableSize: MAGLEV_TABLE_SIZE }),
];

/** The first of a list that a client knows counts; `lb_policy` is for those that know no list. */
const POLICIES: Readonly<Record<Balancer, { list: readonly (readonly [string, Any])[]; lbPolicy: LbPolicy }>> = {
  'peak-ewma': { list: [PEAK_EWMA, LEAST_REQUEST, ROUND_ROBIN], lbPolicy: LbPolicy.LEAST_REQUEST },
  'least-request': { list: [LEAST_REQUEST, ROUND_ROBIN], lbPolicy: LbPolicy.LEAST_REQUEST },
  'round-robin': { list: [ROUND_ROBIN], lbPolicy: LbPolicy.ROUND_ROBIN },
  random: { list: [RANDOM, ROUND_ROBIN], lbPolicy: LbPolicy.RANDOM },
  'ring-hash': { list: [RING_HASH, ROUND_ROBIN], lbPolicy: LbPolicy.RING_HASH },
  // gRPC has no Maglev.
  maglev: { list: [MAGLEV, RING_HASH, ROUND_ROBIN], lbPolicy: LbPolicy.MAGLEV },
};

/** gRPC refuses a cluster whose `lb_policy` it does not know, whatever the list says (gRFC A27). */
export function balancing(balancer: Balancer, dialect: Dialect): Pick<Cluster, 'lbPolicy' | 'loadBalancingPolicy'> {
  const { list, lbPolicy } = POLICIES[balancer];
  const policies = list.map(([name, typedConfig]) => ({ typedExtensionConfig: { name, typedConfig } }));
  return {
    lbPolicy: dialect === 'grpc' ? LbPolicy.ROUND_ROBIN : lbPolicy,
    loadBalancingPolicy: LoadBalancingPolicy.fromPartial({ policies }),
  };
}

/** For sidecars, who hash by the cluster: a route may lead to several, each with keys of its own. */
export function hashMetadata(hashOn: readonly HashKey[]): Readonly<Record<string, Any>> {
  if (hashOn.length === 0) return {};
  return { [METADATA.hashPolicy]: pack(EXTENSION.hashPolicy, HashPolicy, { policies: hashPolicies(hashOn) }) };
}

/** All terminal: the first that a request has counts alone. */
export function hashPolicies(hashOn: readonly HashKey[]): EnvoyHashPolicy[] {
  return hashOn.map((key) => EnvoyHashPolicy.fromPartial({ policySpecifier: specifierOf(key), terminal: true }));
}

function specifierOf(key: HashKey): EnvoyHashPolicy['policySpecifier'] {
  switch (key.kind) {
    case 'header':
      return { $case: 'header', value: { headerName: key.name } };
    case 'cookie':
      return { $case: 'cookie', value: { name: key.name, path: '' } };
    case 'queryParam':
      return { $case: 'queryParameter', value: { name: key.name } };
    case 'sourceAddress':
      return { $case: 'connectionProperties', value: { sourceIp: true } };
  }
}
