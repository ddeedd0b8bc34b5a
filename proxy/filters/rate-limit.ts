/**
 * The rate limit of a route: which bucket a request takes its token from, and what its client is told when there is none.
 * The buckets are in the table; here are the keys. Knows no stream.
 */
import type { RateLimitConfig, RateLimitKeyConfig } from '../config/request-filters.ts';
import type { Exchange } from '../exchange/exchange.ts';
import type { HeaderList } from '../http/headers.ts';
import { RateTable, type Bucket, type Taken } from './rate-table.ts';

/** A key that does not concern the request: it is not limited. */
const NOT_CONCERNED = null;

interface Limit {
  readonly name: string;
  readonly bucket: Bucket;
}

export class RateLimits {
  readonly #allocate: () => SharedArrayBuffer;
  readonly #limits = new WeakMap<RateLimitConfig, Limit>();
  /** Made with the first limit: most pods have none. */
  #table: RateTable | null = null;

  /** @param allocate memory of the table; that of the pod where workers share it */
  constructor(allocate: () => SharedArrayBuffer) {
    this.#allocate = allocate;
  }

  /** Null: the limit does not concern this request. */
  take(config: RateLimitConfig, exchange: Exchange, nowWallMs: number): Taken | null {
    let limit = this.#limits.get(config);
    if (limit === undefined) this.#limits.set(config, (limit = limitOf(config)));
    let key = limit.name;
    for (const part of config.key) {
      const value = keyOf(part, exchange);
      if (value === NOT_CONCERNED) return null;
      // The length keeps two values from being read as one.
      key += `\n${value.length}:${value}`;
    }
    this.#table ??= new RateTable(this.#allocate());
    return this.#table.take(key, limit.bucket, nowWallMs);
  }
}

/** The same limit after a change of something else has the same name, so that its buckets stay as they are. */
function limitOf(config: RateLimitConfig): Limit {
  const tokenNs = BigInt(Math.max(1, Math.round((config.perMs * 1e6) / config.requests)));
  return { name: JSON.stringify(config), bucket: { tokenNs, size: BigInt(config.burst) } };
}

function keyOf(part: RateLimitKeyConfig, { peer, request }: Exchange): string | null {
  switch (part.kind) {
    case 'identity':
      return peer.identity;
    case 'address':
      return peer.address.slice(0, peer.address.lastIndexOf(':'));
    case 'header':
      return request.headers.getAll(part.name).join(',');
    case 'path':
      return pathVariables(part.segments, request.path);
  }
}

/** What stands in the place of the variables; null when the path is another. */
export function pathVariables(segments: readonly (string | null)[], path: string): string | null {
  const query = path.indexOf('?');
  const parts = (query < 0 ? path : path.slice(0, query)).split('/').slice(1);
  if (parts.length !== segments.length) return null;
  let variables = '';
  for (let i = 0; i < parts.length; i++) {
    const part = parts[i]!;
    if (segments[i] === null) variables += `/${part}`;
    else if (segments[i] !== part) return null;
  }
  return variables;
}

/** RFC 9110 10.2.3, and draft-ietf-httpapi-ratelimit-headers-06, the last one with a field for each figure. Whole seconds, rounded up. */
export function addRateHeaders(
  headers: HeaderList,
  { burst }: RateLimitConfig,
  { remaining, retryMs, fullMs }: Taken,
): void {
  headers.add('retry-after', String(Math.max(1, Math.ceil(retryMs / 1000))));
  headers.add('ratelimit-limit', String(burst));
  headers.add('ratelimit-remaining', String(remaining));
  headers.add('ratelimit-reset', String(Math.ceil(fullMs / 1000)));
}
