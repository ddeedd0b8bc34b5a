/**
 * Active health checks of a cluster, wherever they are made: by this worker, who tells the others, or by another one, who tells us.
 * Knows neither how an endpoint is asked nor how requests are.
 */
import type { Clock } from '#base/clock.ts';
import type { Random } from '#base/random.ts';
import { HealthChecker, type EndpointHealth, type HealthEvents, type Probe } from '../balancing/health.ts';
import type { ClusterConfig } from '../config/snapshot.ts';
import type { BalancedEndpoint } from '../exchange/destination.ts';

/** What checks need from the worker. */
export interface HealthHost {
  /** This worker asks; else it is told what another one finds. */
  readonly asks: boolean;
  /** What is counted and logged, by who asks. */
  events(cluster: string): HealthEvents;
  /** To the other workers. @param why it fails; empty: it passes */
  tell(cluster: string, endpoint: string, why: string): void;
}

export interface CheckedEndpoint extends BalancedEndpoint {
  /** Null: nobody asks. */
  health: EndpointHealth | null;
}

interface Env {
  readonly clock: Clock;
  readonly random: Random;
  readonly health: HealthHost;
}

/** What workers call an endpoint among each other. */
function nameOf({ config: { address, port, workload } }: BalancedEndpoint): string {
  return `${address} ${port} ${workload?.pod ?? ''}`;
}

export class ClusterHealth<E extends CheckedEndpoint> {
  readonly #env: Env;
  readonly #probe: (endpoint: E) => Probe;
  readonly #onPass: () => void;
  #cluster = '';
  #checker: HealthChecker | null = null;

  /** @param onPass an endpoint can be picked again */
  constructor(env: Env, probe: (endpoint: E) => Probe, onPass: () => void) {
    this.#env = env;
    this.#probe = probe;
    this.#onPass = onPass;
  }

  /** Puts another check in force, or none. */
  update({ name, healthCheck, outlier }: ClusterConfig, endpoints: Iterable<E>): void {
    this.#cluster = name;
    const keep = Math.max(1, outlier?.keepEndpoints ?? 1);
    if (healthCheck === undefined) {
      this.close(endpoints);
    } else if (this.#checker !== null) this.#checker.update(healthCheck, keep);
    else {
      const { clock, random, health } = this.#env;
      // Endpoints that are added are those of this cluster.
      const probe = health.asks ? (endpoint: BalancedEndpoint) => this.#probe(endpoint as E) : null;
      this.#checker = new HealthChecker(healthCheck, keep, { clock, random, probe, events: this.#events() });
      for (const endpoint of endpoints) endpoint.health = this.#checker.add(endpoint);
    }
  }

  add(endpoint: E): void {
    endpoint.health = this.#checker?.add(endpoint) ?? null;
  }

  remove(endpoint: E): void {
    const { health } = endpoint;
    if (health === null) return;
    endpoint.health = null;
    this.#checker?.remove(health);
    if (health.why !== '' && this.#env.health.asks) this.#env.health.tell(this.#cluster, nameOf(endpoint), '');
  }

  /** What another worker found. */
  tell(endpoints: Iterable<E>, name: string, why: string): void {
    for (const endpoint of endpoints) if (nameOf(endpoint) === name) endpoint.health?.tell(why);
  }

  close(endpoints: Iterable<E>): void {
    this.#checker?.close();
    this.#checker = null;
    for (const endpoint of endpoints) endpoint.health = null;
  }

  #events(): HealthEvents {
    const { health } = this.#env;
    const events = health.asks ? health.events(this.#cluster) : null;
    return {
      checked: (failure) => events?.checked(failure),
      counted: (failing) => events?.counted(failing),
      found: (endpoint, why, isChange) => {
        events?.found(endpoint, why, isChange);
        if (health.asks) health.tell(this.#cluster, nameOf(endpoint), why);
        if (isChange && why === '') this.#onPass();
      },
    };
  }
}
