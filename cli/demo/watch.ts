/**
 * Keeps an eye on a running mesh: scrapes all sidecars, and knows what happened lately, since the routes changed, and in all.
 */
import type { Clock } from '#base/clock.ts';
import { ask } from '../admin/ask.ts';
import type { Mesh } from '../run/mesh.ts';
import { HOP_METRICS, HopCounter, since, type Hops, type HopTotals } from './hops.ts';
import { parseSamples } from './prometheus.ts';

/** What `recent` is taken over. */
const WINDOW_MS = 5000;

interface Look {
  readonly atMs: number;
  readonly hops: Hops;
}

export class Watch {
  readonly #mesh: Mesh;
  readonly #clock: Clock;
  readonly #counter = new HopCounter();
  /** Looks within the window, and the last one before it. */
  #looks: readonly Look[] = [];
  #begin: Look;
  #now: Look;
  #sinceRoutes: Look;
  #mark: Look | null = null;
  #routes: unknown;

  constructor(mesh: Mesh, clock: Clock) {
    this.#mesh = mesh;
    this.#clock = clock;
    this.#begin = { atMs: clock.now(), hops: new Map() };
    this.#now = this.#begin;
    this.#sinceRoutes = this.#begin;
    this.#routes = mesh.world.httpRoutes;
  }

  /** From here on counts what `all` tells. */
  async begin(): Promise<void> {
    await this.look();
    this.#begin = this.#now;
    this.#sinceRoutes = this.#now;
    this.#looks = [this.#now];
  }

  /** Asks all sidecars for their counters; one that does not answer is asked again the next time. */
  async look(): Promise<void> {
    await Promise.all(
      this.#mesh.replicas.map(async ({ plan, network }) => {
        const answer = plan.meshed ? await ask(`http://${network.metricsAddress}/metrics`) : null;
        if (answer?.status === 200) this.#counter.observe(plan.name, parseSamples(answer.body, HOP_METRICS));
      }),
    );
    this.#now = { atMs: this.#clock.now(), hops: this.#counter.totals() };
    const within = this.#looks.findIndex(({ atMs }) => this.#now.atMs - atMs <= WINDOW_MS);
    this.#looks = [...this.#looks.slice(Math.max(0, within - 1)), this.#now];
    if (this.#mesh.world.httpRoutes !== this.#routes) {
      this.#routes = this.#mesh.world.httpRoutes;
      this.#sinceRoutes = this.#now;
    }
  }

  get recent(): { readonly hops: readonly HopTotals[]; readonly windowMs: number } {
    const first = this.#looks[0] ?? this.#begin;
    return { hops: since(first.hops, this.#now.hops), windowMs: this.#now.atMs - first.atMs };
  }

  get all(): readonly HopTotals[] {
    return since(this.#begin.hops, this.#now.hops);
  }

  /** Keeps what comes apart from what was counted until now. */
  mark(): void {
    this.#mark = this.#now;
  }

  /** Since `mark`; empty before. */
  get sinceMark(): readonly HopTotals[] {
    return this.#mark === null ? [] : since(this.#mark.hops, this.#now.hops);
  }

  /** Since the routes were changed last: before that other weights were in force. */
  get sinceRoutesChanged(): readonly HopTotals[] {
    return since(this.#sinceRoutes.hops, this.#now.hops);
  }
}
