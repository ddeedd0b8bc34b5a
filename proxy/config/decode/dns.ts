/**
 * Clusters of type STRICT_DNS and LOGICAL_DNS: names to resolve and how often. Constraints and defaults are those of Envoy's cluster.proto.
 * Resolves nothing.
 */
import { isIP } from 'node:net';
import {
  Cluster_DiscoveryType as Discovery,
  Cluster_DnsLookupFamily as Family,
  type Cluster,
} from '#api/generated/envoy/config/cluster/v3/cluster.ts';
import type { Problems } from '#base/problems.ts';
import type { DnsConfig } from '../snapshot.ts';
import { durationMs } from './duration.ts';
import { at, refuse } from './unsupported.ts';

/** Envoy `dns_refresh_rate`. */
const DEFAULT_REFRESH_MS = 5000;
/** Envoy takes nothing below 1 ms; so often nobody means it. */
const MIN_REFRESH_MS = 100;
/** Names of one cluster. */
const MAX_NAMES = 100;

/** Envoy's AUTO asks for IPv6 first. */
const FAMILIES: Readonly<Record<number, DnsConfig['families']>> = {
  [Family.AUTO]: 'prefer-v6',
  [Family.V4_ONLY]: 'v4',
  [Family.V6_ONLY]: 'v6',
  [Family.V4_PREFERRED]: 'prefer-v4',
  [Family.ALL]: 'all',
};

export function decodeDns(message: Cluster, problems: Problems): DnsConfig {
  const logical = message.clusterDiscoveryType?.value === Discovery.LOGICAL_DNS;
  const families = FAMILIES[message.dnsLookupFamily];
  if (families === undefined) refuse(problems, 'dns_lookup_family', `value ${message.dnsLookupFamily}`);
  const refreshMs = durationMs(
    message.dnsRefreshRate,
    'dns_refresh_rate',
    problems,
    DEFAULT_REFRESH_MS,
    MIN_REFRESH_MS,
  );
  const failure = message.dnsFailureRefreshRate;
  const path = 'dns_failure_refresh_rate';
  const failureMs = durationMs(failure?.baseInterval, `${path}.base_interval`, problems, refreshMs, MIN_REFRESH_MS);
  return {
    names: decodeNames(message, logical, problems),
    logical,
    families: families ?? 'all',
    respectTtl: message.respectDnsTtl,
    refreshMs,
    failureMs,
    maxFailureMs: durationMs(failure?.maxInterval, `${path}.max_interval`, problems, failureMs * 10, failureMs),
  };
}

function decodeNames(message: Cluster, logical: boolean, problems: Problems): DnsConfig['names'] {
  const localities = message.loadAssignment?.endpoints ?? [];
  const names = localities.flatMap(({ lbEndpoints }, i) =>
    lbEndpoints.map(({ hostIdentifier }, j) => {
      const path = `load_assignment.endpoints[${i}].lb_endpoints[${j}].endpoint.address`;
      const address = hostIdentifier?.value.address?.address;
      if (address?.$case !== 'socketAddress') {
        problems.add(path, 'must be a socket_address');
        return { host: '', port: 0 };
      }
      const { address: host } = address.value;
      const port = address.value.portSpecifier?.value ?? 0;
      if (host === '') problems.add(at(path, 'socket_address.address'), 'must not be empty');
      if (port < 1 || port > 65_535) problems.add(at(path, 'socket_address.port_value'), 'must be from 1 to 65535');
      return { host: host.toLowerCase(), port };
    }),
  );
  if (names.length === 0) problems.add('load_assignment', 'must name a host');
  if (names.length > MAX_NAMES) problems.add('load_assignment', `names ${names.length} hosts`, `at most ${MAX_NAMES}`);
  if (logical && names.length > 1) problems.add('load_assignment', 'must name exactly one host for LOGICAL_DNS');
  if (logical && names.some(({ host }) => isIP(host) !== 0)) {
    problems.add('load_assignment', 'must name a host for LOGICAL_DNS, not an address');
  }
  return names;
}
