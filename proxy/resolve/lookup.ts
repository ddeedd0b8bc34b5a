/**
 * Asks for the addresses of a name: the hosts file first, then the DNS servers, with their TTL. Names are taken as they are: no search path.
 * Knows neither who wants to know nor when to ask again. Failures are values.
 */
import { Resolver } from 'node:dns/promises';
import { isIP } from 'node:net';
import type { Clock } from '#base/clock.ts';
import { readText } from '#base/read-file.ts';
import { parseHosts, type Hosts } from './hosts.ts';

export type Family = 4 | 6;

/** `none`: the name is there and has no such address, or is not there at all: an answer, unlike `failed`. */
export type Answer =
  | { readonly kind: 'found'; readonly addresses: readonly string[]; readonly ttlMs: number | null }
  | { readonly kind: 'none' }
  | { readonly kind: 'failed'; readonly reason: string };

export type Lookup = (host: string, family: Family) => Promise<Answer>;

export interface LookupOptions {
  readonly clock: Clock;
  /** `address` or `address:port`, IPv6 in brackets when there is a port; empty: those of the system (`/etc/resolv.conf`). */
  readonly servers: readonly string[];
  /** Empty: none. */
  readonly hostsFile: string;
}

/** For one try of one server; it doubles with each further one (c-ares). */
const TIMEOUT_MS = 2000;
const TRIES = 2;
/** Questions under way; more wait. */
const MAX_UNDER_WAY = 64;
const HOSTS_CACHE_MS = 5000;
/** Of one name and family; more are not looked at. */
const MAX_ADDRESSES = 64;

/** Words of c-ares that say: nothing there. */
const NOTHING: ReadonlySet<string> = new Set(['ENOTFOUND', 'ENODATA']);

export function systemLookup({ clock, servers, hostsFile }: LookupOptions): Lookup {
  const resolver = new Resolver({ timeout: TIMEOUT_MS, tries: TRIES });
  if (servers.length > 0) resolver.setServers(servers);
  const limit = new Turnstile(MAX_UNDER_WAY);
  const hosts = new HostsFile(clock, hostsFile);
  return async (host, family) => {
    const known = literal(host, family) ?? (await hosts.find(host, family));
    return known ?? limit.pass(() => ask(resolver, host, family));
  };
}

/** Addresses, and the names that are always this machine (RFC 6761 6.3). */
function literal(host: string, family: Family): Answer | null {
  const isLocal = host === 'localhost' || host.endsWith('.localhost');
  const address = isLocal ? (family === 4 ? '127.0.0.1' : '::1') : host;
  const version = isIP(address);
  if (version === 0) return null;
  return version === family ? { kind: 'found', addresses: [address], ttlMs: null } : { kind: 'none' };
}

async function ask(resolver: Resolver, host: string, family: Family): Promise<Answer> {
  try {
    const records = await (family === 4
      ? resolver.resolve4(host, { ttl: true })
      : resolver.resolve6(host, { ttl: true }));
    if (records.length === 0) return { kind: 'none' };
    const kept = records.slice(0, MAX_ADDRESSES);
    const ttlMs = Math.min(...kept.map(({ ttl }) => ttl)) * 1000;
    return { kind: 'found', addresses: kept.map(({ address }) => address), ttlMs };
  } catch (error) {
    const reason = (error as NodeJS.ErrnoException).code ?? String(error);
    return NOTHING.has(reason) ? { kind: 'none' } : { kind: 'failed', reason };
  }
}

class HostsFile {
  readonly #clock: Clock;
  readonly #path: string;
  #hosts: Promise<Hosts> = Promise.resolve(new Map());
  #readMs = Number.NEGATIVE_INFINITY;

  constructor(clock: Clock, path: string) {
    this.#clock = clock;
    this.#path = path;
  }

  async find(host: string, family: Family): Promise<Answer | null> {
    if (this.#path === '') return null;
    const now = this.#clock.now();
    if (now - this.#readMs >= HOSTS_CACHE_MS) {
      this.#readMs = now;
      this.#hosts = readText(this.#path).then(parseHosts, () => new Map());
    }
    const addresses = (await this.#hosts).get(host);
    if (addresses === undefined) return null;
    const own = addresses.filter((address) => isIP(address) === family);
    return own.length === 0 ? { kind: 'none' } : { kind: 'found', addresses: own, ttlMs: null };
  }
}

/** Lets so many through at a time. */
class Turnstile {
  #free: number;
  readonly #waiting: (() => void)[] = [];

  constructor(size: number) {
    this.#free = size;
  }

  async pass<T>(run: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free--;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      return await run();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#free++;
      else next();
    }
  }
}
