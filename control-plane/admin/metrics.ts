/**
 * Metrics of the control plane, Prometheus conventions, names `tulle_control_plane_*`.
 * Labels are types, results and nothing that a client can choose.
 */
import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import { TYPE } from '#api/names.ts';
import type { ResourceType } from '#api/names.ts';

/** What is measured when somebody asks. */
export interface Gauges {
  readonly clients: number;
  readonly pending: number;
  readonly objects: number;
  readonly problems: number;
  readonly encodings: number;
  readonly certificatesIssued: number;
  readonly rootExpirySeconds: number;
  readonly issuerExpirySeconds: number;
}

const SHORT_TYPE = new Map(Object.entries(TYPE).map(([name, url]) => [url, name]));
const PREFIX = 'tulle_control_plane_';
const DURATION_BUCKETS = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

export class Metrics {
  readonly #registry = new Registry();
  readonly #pushes: Counter;
  readonly #resources: Counter;
  readonly #acks: Counter;
  readonly #nacks: Counter;
  readonly #refusals: Counter;
  readonly #pushSeconds: Histogram;
  readonly #compileSeconds: Histogram;

  constructor(read: () => Gauges) {
    const perType = { labelNames: ['type'], registers: [this.#registry] };
    const plain = { registers: [this.#registry], buckets: DURATION_BUCKETS };
    this.#pushes = new Counter({ ...perType, name: `${PREFIX}pushes_total`, help: 'Responses sent to clients.' });
    this.#resources = new Counter({
      ...perType,
      name: `${PREFIX}pushed_resources_total`,
      help: 'Resources sent to clients.',
    });
    this.#acks = new Counter({ ...perType, name: `${PREFIX}acks_total`, help: 'Responses that clients accepted.' });
    this.#nacks = new Counter({ ...perType, name: `${PREFIX}nacks_total`, help: 'Responses that clients refused.' });
    this.#refusals = new Counter({
      registers: [this.#registry],
      name: `${PREFIX}refused_calls_total`,
      help: 'Calls without a proof of identity, or with a bad request.',
    });
    this.#pushSeconds = new Histogram({
      ...plain,
      name: `${PREFIX}push_duration_seconds`,
      help: 'From the change until a response has left.',
    });
    this.#compileSeconds = new Histogram({
      ...plain,
      name: `${PREFIX}compile_duration_seconds`,
      help: 'Time to compile the mesh.',
    });
    this.#gauges(read);
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  text(): Promise<string> {
    return this.#registry.metrics();
  }

  pushed(type: ResourceType, resources: number, durationMs: number): void {
    this.#pushes.inc({ type: SHORT_TYPE.get(type) ?? '' });
    this.#resources.inc({ type: SHORT_TYPE.get(type) ?? '' }, resources);
    this.#pushSeconds.observe(durationMs / 1000);
  }

  acked(type: ResourceType): void {
    this.#acks.inc({ type: SHORT_TYPE.get(type) ?? '' });
  }

  nacked(type: ResourceType): void {
    this.#nacks.inc({ type: SHORT_TYPE.get(type) ?? '' });
  }

  refused(): void {
    this.#refusals.inc();
  }

  compiled(durationMs: number): void {
    this.#compileSeconds.observe(durationMs / 1000);
  }

  #gauges(read: () => Gauges): void {
    const help: Record<keyof Gauges, readonly [name: string, help: string]> = {
      clients: ['clients', 'Open streams.'],
      pending: ['pending_pushes', 'Clients whose push waits or is on its way.'],
      objects: ['objects', 'Objects in force.'],
      problems: ['problems', 'What is wrong with manifests at present.'],
      encodings: ['encoded_resources', 'Resources encoded since the start; the rest came from the cache.'],
      certificatesIssued: ['certificates_issued', 'Workload certificates signed since the start.'],
      rootExpirySeconds: ['root_expiry_seconds', 'Time until the root expires.'],
      issuerExpirySeconds: ['issuer_expiry_seconds', 'Time until the issuer expires.'],
    };
    for (const [key, [name, text]] of Object.entries(help) as [keyof Gauges, readonly [string, string]][]) {
      const gauge: Gauge = new Gauge({
        name: PREFIX + name,
        help: text,
        registers: [this.#registry],
        collect: () => gauge.set(read()[key]),
      });
    }
  }
}
