/**
 * From the addresses of names to the endpoints of a cluster. Where a name has both families, an endpoint is a pair: it is reached by IPv6
 * or by IPv4, whichever answers (RFC 8305), so that a broken family costs a moment and not half of the requests. Pure.
 */
import type { DnsConfig, EndpointConfig } from '../config/snapshot.ts';
import type { Addresses } from './name.ts';

/** @param found of each name of `dns`, in their order; null: not known yet */
export function endpointsOf(dns: DnsConfig, found: readonly (Addresses | null)[]): readonly EndpointConfig[] {
  const endpoints = dns.names.flatMap(({ port }, i) => {
    const addresses = found[i] ?? null;
    if (addresses === null) return [];
    return groups(dns, addresses).map((group) => endpoint(group, port));
  });
  // Two names may lead to one place.
  const seen = new Set<string>();
  return endpoints.filter(({ address, port }) => {
    const key = `${address} ${port}`;
    return !seen.has(key) && seen.add(key);
  });
}

/** Each group is one endpoint, its addresses in order of preference. */
function groups({ logical, families }: DnsConfig, { v4, v6 }: Addresses): readonly (readonly string[])[] {
  const [first, second] = families === 'prefer-v4' ? [v4, v6] : [v6, v4];
  if (families !== 'all') return single(logical, first.length > 0 ? first : second);
  if (logical) return single(true, interleaved(first, second));
  if (first.length === 0 || second.length === 0) return single(false, [...first, ...second]);
  // Each IPv6 address has an IPv4 one to fall back on; IPv4 addresses that are left over stand alone.
  const pairs = first.map((address, i) => [address, second[i % second.length] ?? '']);
  return [...pairs, ...second.slice(first.length).map((address) => [address])];
}

function single(logical: boolean, addresses: readonly string[]): readonly (readonly string[])[] {
  if (addresses.length === 0) return [];
  return logical ? [addresses] : addresses.map((address) => [address]);
}

/** RFC 8305 section 4: the families by turns. */
function interleaved(first: readonly string[], second: readonly string[]): readonly string[] {
  const size = Math.max(first.length, second.length);
  return Array.from({ length: size }, (_, i) => [first[i], second[i]])
    .flat()
    .filter((address) => address !== undefined);
}

function endpoint([address = '', ...others]: readonly string[], port: number): EndpointConfig {
  return {
    address,
    port,
    ...(others.length > 0 && { otherAddresses: others }),
    healthy: true,
    weight: 1,
    zone: '',
    mtls: false,
    identity: '',
    workload: null,
  };
}
