/**
 * Sessions: the token of a request names the endpoint that it goes to while that one can be picked, and an answer brings a new token when
 * another one gave it (GEP-1619, Envoy `StatefulSession` that is not strict). A token is readable, as Envoy's is, and worth nothing to
 * who makes one up: it leads to an endpoint of the route in any case. Knows no balancer.
 */
import type { SessionConfig } from '../config/sessions.ts';
import type { WeightedClusterConfig } from '../config/snapshot.ts';
import type { Exchange } from '../exchange/exchange.ts';
import type { Session } from '../exchange/session.ts';
import type { UpstreamCluster, UpstreamEndpoint } from '../exchange/upstream.ts';
import type { HeaderList } from '../http/headers.ts';
import { cookieValue } from './hash-key.ts';

/** Longer ones are none of ours. */
const MAX_TOKEN = 1024;
/** Another pod wrote a token whose clock is ahead of ours; more than this nobody's is. */
const MAX_SKEW_MS = 60_000;
/** While a session is used, its token is renewed in this share of the idle time. */
const RENEW = 0.1;

/** Null: the request belongs to no session, or to one that is over. */
export function readSession(config: SessionConfig, headers: HeaderList, wallMs: number): Session | null {
  const { kind, name, absoluteMs, idleMs } = config;
  const token = kind === 'header' ? (headers.get(name) ?? null) : cookieValue(headers.getAll('cookie'), name);
  const session = token === null || token.length > MAX_TOKEN ? null : parseToken(token);
  if (session === null) return null;
  if (Math.max(session.beganMs, session.seenMs) > wallMs + MAX_SKEW_MS) return null;
  if (absoluteMs > 0 && wallMs - session.beganMs >= absoluteMs) return null;
  return idleMs > 0 && wallMs - session.seenMs >= idleMs ? null : session;
}

/** The cluster of a session, whatever its weight, but for none; null: it is none of the route's any more. */
export function clusterOf(session: Session, clusters: readonly WeightedClusterConfig[]): WeightedClusterConfig | null {
  return clusters.find(({ cluster, weight }) => cluster === session.cluster && weight > 0) ?? null;
}

/** The endpoint of a session; null: it is gone, or cannot be picked. Looks at every endpoint, once a try. */
export function endpointOf(
  session: Session,
  { config, picker }: UpstreamCluster,
  avoided: readonly UpstreamEndpoint[],
): UpstreamEndpoint | null {
  if (config.name !== session.cluster) return null;
  for (const endpoint of picker.endpoints) {
    const { port, address, healthy } = endpoint.config;
    if (port !== session.port || address !== session.address) continue;
    return healthy && endpoint.available && endpoint.passing && !avoided.includes(endpoint) ? endpoint : null;
  }
  return null;
}

/** Gives the answer a token where the one that came with the request is none, or not the endpoint's, or gets old. */
export function keepSession(
  config: SessionConfig,
  { session: before, cluster: answering, fellBack }: Exchange,
  endpoint: UpstreamEndpoint,
  headers: HeaderList,
  wallMs: number,
): void {
  // What answers in the place of the route's backends has no sessions.
  if (answering === null || fellBack !== '') return;
  const cluster = answering.config.name;
  const { address, port } = endpoint.config;
  const isSame = before !== null && before.cluster === cluster && before.address === address && before.port === port;
  if (isSame && (config.idleMs === 0 || wallMs - before.seenMs < RENEW * config.idleMs)) return;
  const beganMs = isSame ? before.beganMs : wallMs;
  const token = writeToken({ cluster, address, port, beganMs, seenMs: wallMs });
  if (config.kind === 'header') headers.set(config.name, token);
  else headers.add('set-cookie', cookieOf(config, token, beganMs, wallMs));
}

function cookieOf({ name, path, ttlMs }: SessionConfig, token: string, beganMs: number, wallMs: number): string {
  const forPath = path === '' ? '' : `; Path=${path}`;
  const maxAge = ttlMs === 0 ? '' : `; Max-Age=${Math.ceil((beganMs + ttlMs - wallMs) / 1000)}`;
  return `${name}=${token}${forPath}${maxAge}; HttpOnly`;
}

function writeToken({ cluster, address, port, beganMs, seenMs }: Session): string {
  const parts = [cluster, address, String(port), beganMs.toString(36), seenMs.toString(36)];
  return Buffer.from(parts.join('|'), 'latin1').toString('base64url');
}

function parseToken(token: string): Session | null {
  const parts = Buffer.from(token, 'base64url').toString('latin1').split('|');
  const [cluster = '', address = '', port = '', began = '', seen = ''] = parts;
  const session = { cluster, address, port: Number(port), beganMs: parseInt(began, 36), seenMs: parseInt(seen, 36) };
  return parts.length === 5 && session.beganMs >= 0 && session.seenMs >= 0 ? session : null;
}
