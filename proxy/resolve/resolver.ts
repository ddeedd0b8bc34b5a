/**
 * The names that clusters follow: each is asked for once, however many clusters want it, and only while one does.
 * Knows no cluster but the names that it asks for.
 */
import type { DnsConfig, EndpointConfig } from '../config/snapshot.ts';
import { endpointsOf } from './endpoints.ts';
import { ResolvedName, type NameEnv } from './name.ts';

interface Followed {
  readonly name: ResolvedName;
  readonly watchers: Set<() => void>;
}

export class NameResolver {
  readonly #env: NameEnv;
  readonly #names = new Map<string, Followed>();

  constructor(env: NameEnv) {
    this.#env = env;
  }

  /** How many names are followed. */
  get size(): number {
    return this.#names.size;
  }

  /**
   * Tells the endpoints that the names of `dns` lead to, and every other set of them. A name that is known already is told at once.
   * @returns ends it
   */
  watch(dns: DnsConfig, onEndpoints: (endpoints: readonly EndpointConfig[]) => void): () => void {
    const tell = (): void => {
      const found = followed.map(({ name }) => name.addresses);
      if (found.some((addresses) => addresses !== null)) onEndpoints(endpointsOf(dns, found));
    };
    const keys = dns.names.map(({ host }) => keyOf(host, dns));
    const followed = dns.names.map(({ host }, i) => this.#follow(keys[i] ?? '', host, dns, tell));
    tell();
    return () => {
      for (const key of keys) this.#unfollow(key, tell);
    };
  }

  close(): void {
    for (const { name } of this.#names.values()) name.close();
    this.#names.clear();
  }

  #follow(key: string, host: string, dns: DnsConfig, tell: () => void): Followed {
    const known = this.#names.get(key);
    known?.watchers.add(tell);
    if (known !== undefined) return known;
    const watchers = new Set([tell]);
    const name = new ResolvedName(host, dns, this.#env, () => {
      for (const watcher of watchers) watcher();
    });
    const followed = { name, watchers };
    this.#names.set(key, followed);
    name.start();
    return followed;
  }

  #unfollow(key: string, tell: () => void): void {
    const followed = this.#names.get(key);
    followed?.watchers.delete(tell);
    if (followed === undefined || followed.watchers.size > 0) return;
    followed.name.close();
    this.#names.delete(key);
  }
}

/** The same name, asked for in the same way. */
function keyOf(host: string, { families, respectTtl, refreshMs, failureMs, maxFailureMs }: DnsConfig): string {
  return JSON.stringify([host, families, respectTtl, refreshMs, failureMs, maxFailureMs]);
}
