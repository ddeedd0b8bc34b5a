/**
 * What balancers by hash look at, and how large their tables are. Constraints are those of Envoy's route_components.proto,
 * ring_hash.proto and maglev.proto.
 */
import type { RouteAction_HashPolicy as EnvoyHashPolicy } from '#api/generated/envoy/config/route/v3/route.ts';
import type { Metadata } from '#api/generated/envoy/config/core/v3/core.ts';
import type { Maglev } from '#api/generated/envoy/extensions/load_balancing_policies/maglev/v3/maglev.ts';
import {
  RingHash_HashFunction as HashFunction,
  type RingHash,
} from '#api/generated/envoy/extensions/load_balancing_policies/ring_hash/v3/ring_hash.ts';
import { METADATA } from '#api/names.ts';
import type { Problems } from '#base/problems.ts';
import type { BalancerConfig, HashKeyConfig } from '../balancers.ts';
import { decodeHashPolicy } from './metadata.ts';
import { at, refuse } from './unsupported.ts';

/** Envoy's defaults and bounds. */
const MIN_RING = 1024n;
const MAX_RING = 8_388_608n;
const TABLE = 65_537n;
const MAX_TABLE = 5_000_011n;
/** Larger tables would lose bits in the arithmetic, and hold the sidecar up. */
const MAX_OUR_TABLE = 2_097_143n;

const NO_KEY: HashKeyConfig = { kind: 'address', name: '', terminal: false };

/** Metadata `tulle.hash_policy` of a cluster. */
export function decodeHashOn(metadata: Metadata | undefined, problems: Problems): readonly HashKeyConfig[] {
  const path = `metadata.typed_filter_metadata["${METADATA.hashPolicy}"]`;
  return decodeHashPolicy(metadata, '', problems).map((policy, i) =>
    decodeKey(policy, `${path}.policies[${i}]`, problems),
  );
}

function decodeKey(policy: EnvoyHashPolicy, path: string, problems: Problems): HashKeyConfig {
  const { policySpecifier: given, terminal } = policy;
  switch (given?.$case) {
    case 'header':
      return { kind: 'header', name: named(given.value.headerName.toLowerCase(), path, problems), terminal };
    case 'queryParameter':
      return { kind: 'query', name: named(given.value.name, path, problems), terminal };
    case 'cookie':
      if (given.value.ttl !== undefined) refuse(problems, at(path, 'cookie.ttl'), 'a cookie that we make');
      return { kind: 'cookie', name: named(given.value.name, path, problems), terminal };
    case 'connectionProperties':
      if (!given.value.sourceIp) problems.add(at(path, 'connection_properties.source_ip'), 'must be true');
      return { kind: 'address', name: '', terminal };
    case undefined:
      refuse(problems, path, 'this policy', 'header, cookie, query_parameter, connection_properties');
      return NO_KEY;
  }
}

function named(name: string, path: string, problems: Problems): string {
  if (name === '') problems.add(path, 'must have a name');
  return name;
}

export function decodeRingHash(
  ring: RingHash | null,
  hashOn: readonly HashKeyConfig[],
  path: string,
  problems: Problems,
): BalancerConfig {
  const { minimumRingSize: min = MIN_RING, maximumRingSize: max = MAX_RING } = ring ?? {};
  if (ring?.hashFunction === HashFunction.MURMUR_HASH_2)
    refuse(problems, at(path, 'hash_function'), 'MURMUR_HASH_2', 'XX_HASH');
  if (min < 1n || min > MAX_RING) problems.add(at(path, 'minimum_ring_size'), `must be from 1 to ${MAX_RING}`);
  if (max > MAX_RING || max < min) {
    problems.add(at(path, 'maximum_ring_size'), `must be from the minimum to ${MAX_RING}`);
  }
  return { kind: 'ring-hash', hashOn, minSize: Number(min), maxSize: Number(max) };
}

export function decodeMaglev(
  maglev: Maglev | null,
  hashOn: readonly HashKeyConfig[],
  path: string,
  problems: Problems,
): BalancerConfig {
  const size = maglev?.tableSize ?? TABLE;
  if (size > MAX_TABLE) problems.add(at(path, 'table_size'), `must be at most ${MAX_TABLE}`);
  else if (size > MAX_OUR_TABLE) refuse(problems, at(path, 'table_size'), `value ${size}`, `at most ${MAX_OUR_TABLE}`);
  else if (!isPrime(Number(size))) problems.add(at(path, 'table_size'), 'must be a prime number');
  return { kind: 'maglev', hashOn, tableSize: Number(size) };
}

function isPrime(number: number): boolean {
  for (let by = 2; by * by <= number; by++) if (number % by === 0) return false;
  return number > 1;
}
