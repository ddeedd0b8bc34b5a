/**
 * The hash by which a request finds its endpoint: Envoy's, value by value and combined alike (source/common/http/hash_policy.cc).
 * Knows no balancer. Nothing of a request is decoded or unquoted.
 */
import { xxHash64, type Hash64 } from '#base/xx-hash.ts';
import type { HashKeyConfig } from '../config/balancers.ts';
import type { Exchange } from '../exchange/exchange.ts';
import type { UpstreamCluster } from '../exchange/upstream.ts';
import { queryValue } from '../routing/match.ts';

/** Null: the cluster's balancer does not hash, or the request has nothing that it hashes. */
export function hashOf({ config: { balancer } }: UpstreamCluster, x: Exchange): Hash64 | null {
  return balancer.kind === 'ring-hash' || balancer.kind === 'maglev' ? hashRequest(balancer.hashOn, x) : null;
}

export function hashRequest(keys: readonly HashKeyConfig[], x: Exchange): Hash64 | null {
  let hash: Hash64 | null = null;
  for (const key of keys) {
    const next = hashKey(key, x);
    if (next === null) continue;
    hash = hash === null ? next : combine(hash, next);
    if (key.terminal) break;
  }
  return hash;
}

function hashKey({ kind, name }: HashKeyConfig, { request, peer }: Exchange): Hash64 | null {
  switch (kind) {
    case 'header':
      return hashHeader(request.headers.getAll(name));
    case 'cookie':
      return hashText(cookieValue(request.headers.getAll('cookie'), name));
    case 'query':
      return hashText(queryValue(request.path, name));
    case 'address':
      return hashText(peer.address.slice(0, peer.address.lastIndexOf(':')));
  }
}

function hashText(text: string | null): Hash64 | null {
  return text === null ? null : xxHash64(text);
}

/** Whatever the order of several lines is. */
function hashHeader(values: string[]): Hash64 | null {
  let hash: Hash64 | null = null;
  if (values.length > 1) values.sort();
  for (const value of values) hash = hash === null ? xxHash64(value) : xxHash64(value, hash);
  return hash;
}

/** Of the first cookie with that name; null: there is none, or it is empty (as in Envoy). */
export function cookieValue(lines: readonly string[], name: string): string | null {
  for (const line of lines) {
    for (const pair of line.split(';')) {
      const equals = pair.indexOf('=');
      if (equals > 0 && pair.slice(0, equals).trim() === name) return pair.slice(equals + 1).trim() || null;
    }
  }
  return null;
}

function combine({ hi, lo }: Hash64, next: Hash64): Hash64 {
  return { hi: (((hi << 1) | (lo >>> 31)) ^ next.hi) >>> 0, lo: (((lo << 1) | (hi >>> 31)) ^ next.lo) >>> 0 };
}
