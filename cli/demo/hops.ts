/**
 * Who calls whom, from the counters of all sidecars: how often, how fast, how well, and with which identity.
 * Counters begin again when a sidecar is restarted; totals here only grow. Does no I/O.
 */
import type { Sample } from './prometheus.ts';

/** What was counted between two workloads so far. */
export interface HopTotals {
  readonly source: string;
  readonly destination: string;
  readonly service: string;
  readonly requests: number;
  /** Answered with 5xx, or not at all. */
  readonly failures: number;
  readonly retries: number;
  /** Requests over mutual TLS. */
  readonly secured: number;
  /** SPIFFE IDs that destinations proved. */
  readonly peers: readonly string[];
  /** Cumulative counts by upper bound in seconds, ascending. */
  readonly buckets: ReadonlyMap<number, number>;
}

export type Hops = ReadonlyMap<string, HopTotals>;

export const HOP_METRICS = ['tulle_requests_total', 'tulle_retries_total', 'tulle_request_duration_seconds_bucket'];

interface Mutable {
  source: string;
  destination: string;
  service: string;
  requests: number;
  failures: number;
  retries: number;
  secured: number;
  peers: Set<string>;
  buckets: Map<number, number>;
}

/** Adds up what sidecars report, each under its own name. */
export class HopCounter {
  readonly #last = new Map<string, ReadonlyMap<string, number>>();
  readonly #hops = new Map<string, Mutable>();

  /** Takes the present counters of one sidecar in; only calls that it made itself count, so that none counts twice. */
  observe(sidecar: string, samples: readonly Sample[]): void {
    const before = this.#last.get(sidecar) ?? new Map<string, number>();
    const now = new Map<string, number>();
    for (const sample of samples) {
      if (sample.labels['direction'] !== 'outbound') continue;
      const key = `${sample.name} ${JSON.stringify(sample.labels)}`;
      now.set(key, sample.value);
      const old = before.get(key) ?? 0;
      // Less than before: the sidecar is a new process, and all that it counted is new.
      const increase = sample.value >= old ? sample.value - old : sample.value;
      if (increase > 0) this.#add(sample, increase);
    }
    this.#last.set(sidecar, now);
  }

  /** A copy of the totals. */
  totals(): Hops {
    return new Map(
      Array.from(this.#hops, ([key, hop]) => [
        key,
        { ...hop, peers: [...hop.peers].sort(), buckets: new Map(hop.buckets) },
      ]),
    );
  }

  #add({ name, labels }: Sample, increase: number): void {
    const hop = this.#hop(labels);
    switch (name) {
      case 'tulle_requests_total':
        hop.requests += increase;
        if (Number(labels['response_code']) >= 500 || labels['response_code'] === '0') hop.failures += increase;
        if (labels['connection_security'] === 'mutual_tls') hop.secured += increase;
        if (labels['peer']) hop.peers.add(labels['peer']);
        break;
      case 'tulle_retries_total':
        hop.retries += increase;
        break;
      default: {
        const bound = labels['le'] === '+Inf' ? Infinity : Number(labels['le']);
        hop.buckets.set(bound, (hop.buckets.get(bound) ?? 0) + increase);
      }
    }
  }

  #hop(labels: Sample['labels']): Mutable {
    const source = labels['source_workload'] ?? '';
    const service = labels['destination_service'] ?? '';
    const destination = labels['destination_workload'] || service;
    const key = `${source} ${destination}`;
    let hop = this.#hops.get(key);
    if (hop === undefined) {
      hop = {
        source,
        destination,
        service,
        requests: 0,
        failures: 0,
        retries: 0,
        secured: 0,
        peers: new Set(),
        buckets: new Map(),
      };
      this.#hops.set(key, hop);
    }
    return hop;
  }
}

/** What happened between two totals; hops without a request then are left out. */
export function since(before: Hops, now: Hops): readonly HopTotals[] {
  const rows: HopTotals[] = [];
  for (const [key, hop] of now) {
    const old = before.get(key);
    const requests = hop.requests - (old?.requests ?? 0);
    if (requests <= 0) continue;
    rows.push({
      ...hop,
      requests,
      failures: hop.failures - (old?.failures ?? 0),
      retries: hop.retries - (old?.retries ?? 0),
      secured: hop.secured - (old?.secured ?? 0),
      buckets: new Map(Array.from(hop.buckets, ([bound, count]) => [bound, count - (old?.buckets.get(bound) ?? 0)])),
    });
  }
  return rows.sort((a, b) => compare(a.source, b.source) || compare(a.destination, b.destination));
}

/** The quantile in milliseconds, linear within its bucket as Prometheus' histogram_quantile; null without samples. */
export function quantileMs(buckets: ReadonlyMap<number, number>, quantile: number): number | null {
  const sorted = [...buckets].sort(([a], [b]) => a - b);
  const total = sorted.at(-1)?.[1] ?? 0;
  if (total === 0) return null;
  const rank = quantile * total;
  let lower = 0;
  let below = 0;
  for (const [bound, count] of sorted) {
    if (count >= rank) {
      if (bound === Infinity) return lower * 1000;
      const within = count === below ? 1 : (rank - below) / (count - below);
      return (lower + (bound - lower) * within) * 1000;
    }
    lower = bound;
    below = count;
  }
  return lower * 1000;
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
