/**
 * Clusters whose endpoints are found by name: follows the names of each, and gives it what they lead to.
 * Knows nothing of how a name is asked for.
 */
import type { Clock } from '#base/clock.ts';
import type { DnsConfig, EndpointsConfig } from '../config/snapshot.ts';
import type { NameResolver } from '../resolve/resolver.ts';

/** A cluster, as far as its names go. */
export interface NamedCluster {
  readonly config: { readonly dns?: DnsConfig };
  setEndpoints(endpoints: EndpointsConfig): void;
}

/** What waits for a name's first answer. */
export interface AwaitedCluster extends NamedCluster {
  /** It was told endpoints, or that there are none. */
  readonly isKnown: boolean;
  wait(waiter: { onEndpoints(): void }): boolean;
  unwait(waiter: { onEndpoints(): void }): void;
}

/** Calls `then` once: at once unless names of `cluster` are asked for the first time, and after `patienceMs` in any case. */
export function whenResolved(
  cluster: AwaitedCluster | undefined,
  clock: Clock,
  patienceMs: number,
  then: () => void,
): void {
  if (cluster?.config.dns === undefined || cluster.isKnown) {
    then();
    return;
  }
  const settle = (): void => {
    timer.cancel();
    cluster.unwait(waiter);
    then();
  };
  const waiter = { onEndpoints: settle };
  const timer = clock.after(patienceMs, settle);
  if (!cluster.wait(waiter)) settle();
}

interface Watch {
  readonly cluster: NamedCluster;
  readonly dns: string;
  readonly end: () => void;
}

export class ResolvedClusters {
  readonly #resolver: NameResolver;
  readonly #watches = new Map<string, Watch>();

  constructor(resolver: NameResolver) {
    this.#resolver = resolver;
  }

  /** What `name` is now; null: gone. One whose names stay the same is not asked for anew. */
  follow(name: string, cluster: NamedCluster | null): void {
    const before = this.#watches.get(name);
    const dns = cluster?.config.dns;
    if (before === undefined && dns === undefined) return;
    const key = JSON.stringify(dns);
    if (before?.cluster === cluster && before?.dns === key) return;
    // The new watch first: a name that stays is not forgotten in between.
    if (cluster !== null && dns !== undefined) {
      const end = this.#resolver.watch(dns, (endpoints) => cluster.setEndpoints({ cluster: name, endpoints }));
      this.#watches.set(name, { cluster, dns: key, end });
    } else this.#watches.delete(name);
    before?.end();
  }
}
