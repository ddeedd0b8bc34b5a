/**
 * How a client chooses among the endpoints of a cluster, and what of a request it hashes for that. Knows no endpoint.
 */
import {
  Cluster_LbPolicy as LbPolicy,
  LoadBalancingPolicy,
  type Cluster,
} from '#api/generated/envoy/config/cluster/v3/cluster.ts';
import { RouteAction_HashPolicy as EnvoyHashPolicy } from '#api/generated/envoy/config/route/v3/route.ts';
import { SlowStartConfig } from '#api/generated/envoy/extensions/load_balancing_policies/common/v3/common.ts';
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
import type { BackendPolicy, Balancer, HashKey } from '../model/policy.ts';
import type { Dialect } from './client.ts';
import { duration, pack } from './messages.ts';

/** Of the sidecar and of Envoy alike. */
const MIN_RING_SIZE = 1024n;
/** Linking a ring holds a sidecar up; Envoy's default is 8 Mi. */
const MAX_RING_SIZE = 65_536n;
const MAGLEV_TABLE_SIZE = 65_537n;

type NamedPolicy = readonly [name: string, config: Any];

function leastRequest(slowStartMs: number): NamedPolicy {
  const config = pack(EXTENSION.leastRequest, LeastRequest, slowStart(slowStartMs));
  return ['envoy.load_balancing_policies.least_request', config];
}

function roundRobin(slowStartMs: number): NamedPolicy {
  const config = pack(EXTENSION.roundRobin, RoundRobin, slowStart(slowStartMs));
  return ['envoy.load_balancing_policies.round_robin', config];
}

/** Linkerd's figures: 30 ms for an endpoint not yet measured, measurements decay within 10 s. */
function peakEwma(slowStartMs: number): NamedPolicy {
  const figures = { defaultRtt: duration(30), decay: duration(10_000), ...slowStart(slowStartMs) };
  return ['tulle.peak_ewma', pack(EXTENSION.peakEwma, PeakEwma, figures)];
}

/** Envoy's defaults for the rest: in proportion to the age, from 10 % on. */
function slowStart(windowMs: number): { readonly slowStartConfig?: SlowStartConfig } {
  if (windowMs === 0) return {};
  return { slowStartConfig: SlowStartConfig.fromPartial({ slowStartWindow: duration(windowMs) }) };
}

const RANDOM: NamedPolicy = ['envoy.load_balancing_policies.random', pack(EXTENSION.random, Random, {})];
const RING_HASH: NamedPolicy = [
  'envoy.load_balancing_policies.ring_hash',
  pack(EXTENSION.ringHash, RingHash, {
    hashFunction: HashFunction.XX_HASH,
    minimumRingSize: MIN_RING_SIZE,
    maximumRingSize: MAX_RING_SIZE,
  }),
];
const MAGLEV: NamedPolicy = [
  'envoy.load_balancing_policies.maglev',
  pack(EXTENSION.maglev, Maglev, { tableSize: MAGLEV_TABLE_SIZE }),
];

/** The first of a list that a client knows counts. */
function policiesOf({ balancer, slowStartMs }: BackendPolicy): readonly NamedPolicy[] {
  switch (balancer) {
    case 'peak-ewma':
      return [peakEwma(slowStartMs), leastRequest(slowStartMs), roundRobin(slowStartMs)];
    case 'least-request':
      return [leastRequest(slowStartMs), roundRobin(slowStartMs)];
    case 'round-robin':
      return [roundRobin(slowStartMs)];
    case 'random':
      return [RANDOM, roundRobin(0)];
    case 'ring-hash':
      return [RING_HASH, roundRobin(0)];
    case 'maglev':
      // gRPC has no Maglev.
      return [MAGLEV, RING_HASH, roundRobin(0)];
  }
}

/** For those that know no list. */
const LB_POLICY: Readonly<Record<Balancer, LbPolicy>> = {
  'peak-ewma': LbPolicy.LEAST_REQUEST,
  'least-request': LbPolicy.LEAST_REQUEST,
  'round-robin': LbPolicy.ROUND_ROBIN,
  random: LbPolicy.RANDOM,
  'ring-hash': LbPolicy.RING_HASH,
  maglev: LbPolicy.MAGLEV,
};

/** gRPC refuses a cluster whose `lb_policy` it does not know, whatever the list says (gRFC A27). */
export function balancing(policy: BackendPolicy, dialect: Dialect): Pick<Cluster, 'lbPolicy' | 'loadBalancingPolicy'> {
  const policies = policiesOf(policy).map(([name, typedConfig]) => ({ typedExtensionConfig: { name, typedConfig } }));
  return {
    lbPolicy: dialect === 'grpc' ? LbPolicy.ROUND_ROBIN : LB_POLICY[policy.balancer],
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
