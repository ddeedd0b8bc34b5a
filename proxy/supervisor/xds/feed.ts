/**
 * Joins stream, resources and destinations: wishes of the worker go up, changes of the snapshot come down, each batch consistent.
 * The one place that knows which decoder belongs to which type.
 */
import type { DeltaDiscoveryResponse } from '#api/generated/envoy/service/discovery/v3/discovery.ts';
import { INBOUND_LISTENER, OUTBOUND_LISTENER, TRUST_SECRET, TYPE, type ResourceType } from '#api/names.ts';
import { newChange, type ChangeDraft } from '../../config/change.ts';
import { decodeCluster } from '../../config/decode/cluster.ts';
import { decodeEndpoints } from '../../config/decode/endpoints.ts';
import { decodeListener } from '../../config/decode/listener.ts';
import { decodeRoute } from '../../config/decode/route.ts';
import { decodeSecret } from '../../config/decode/secret.ts';
import type { DestinationState, Snapshot, TrustConfig } from '../../config/snapshot.ts';
import type { SnapshotChange } from '../../worker/messages.ts';
import { AdsClient, type AdsOptions } from './ads-client.ts';
import { Destinations } from './destinations.ts';
import type { Kind } from './references.ts';
import { Resources } from './resources.ts';

export interface FeedOptions extends Omit<AdsOptions, 'subscriptions' | 'onResponse'> {
  readonly maxDestinations: number;
  readonly onChange: (change: SnapshotChange) => void;
}

const KIND: Readonly<Record<Exclude<ResourceType, typeof TYPE.secret>, Kind>> = {
  [TYPE.listener]: 'listener',
  [TYPE.route]: 'route',
  [TYPE.cluster]: 'cluster',
  [TYPE.endpoints]: 'endpoints',
};

export class SnapshotFeed {
  readonly #options: FeedOptions;
  readonly #sets = {
    listener: new Resources(TYPE.listener, decodeListener),
    route: new Resources(TYPE.route, decodeRoute),
    cluster: new Resources(TYPE.cluster, decodeCluster),
    endpoints: new Resources(TYPE.endpoints, decodeEndpoints),
  };
  readonly #secrets = new Resources(TYPE.secret, decodeSecret);
  readonly #destinations: Destinations;
  readonly #client: AdsClient;
  /** Stays when the control plane takes the bundle away: without one, every connection would be cut. */
  #trust: TrustConfig | null = null;

  constructor(options: FeedOptions) {
    this.#options = options;
    const sets = this.#sets;
    this.#destinations = new Destinations(
      {
        listener: (name) => sets.listener.get(name),
        route: (name) => sets.route.get(name),
        cluster: (name) => sets.cluster.get(name),
        endpoints: (name) => sets.endpoints.get(name),
      },
      {
        subscribe: (kind, name) => sets[kind].want(name),
        unsubscribe: (kind, name) => sets[kind].release(name),
      },
      options.maxDestinations,
    );
    this.#client = new AdsClient({
      ...options,
      subscriptions: new Map([
        [TYPE.secret, this.#secrets.subscription],
        [TYPE.cluster, sets.cluster.subscription],
        [TYPE.endpoints, sets.endpoints.subscription],
        [TYPE.route, sets.route.subscription],
        [TYPE.listener, sets.listener.subscription],
      ]),
      onResponse: (type, response) => this.#receive(type, response),
    });
    this.#secrets.want(TRUST_SECRET);
    this.#destinations.want(INBOUND_LISTENER, true);
    this.#destinations.want(OUTBOUND_LISTENER, true);
  }

  /** Whether a stream to the control plane is open. */
  get connected(): AdsClient['connected'] {
    return this.#client.connected;
  }

  /** What the worker was told. */
  get snapshot(): Snapshot {
    const { listeners, routes, clusters, endpointSets } = this.#destinations.published;
    return { listeners, routes, clusters, endpoints: endpointSets, trust: this.#trust };
  }

  /** All of it as one change, for a worker that knows nothing yet. */
  get everything(): SnapshotChange {
    const { listeners, routes, clusters, endpoints, trust } = this.snapshot;
    const known = [...this.destinations].filter(
      (entry): entry is [string, 'ready' | 'unknown'] => entry[1] !== 'pending',
    );
    return { listeners, routes, clusters, endpoints, trust: trust ?? undefined, destinations: new Map(known) };
  }

  get destinations(): ReadonlyMap<string, DestinationState> {
    return this.#destinations.states;
  }

  /** Problems of the last refused response of each type; types without are left out. */
  get nacks(): ReadonlyMap<string, string> {
    const all: [string, string][] = Object.entries(this.#sets).map(([kind, set]) => [kind, set.lastNack]);
    return new Map([...all, ['secret', this.#secrets.lastNack] as const].filter(([, problems]) => problems !== ''));
  }

  /** The trust bundle is there, and what holds for the inbound and the outbound side is in force or known not to exist. */
  get isComplete(): boolean {
    const states = [INBOUND_LISTENER, OUTBOUND_LISTENER].map((name) => this.#destinations.state(name));
    return this.#trust !== null && states.every((state) => state !== undefined && state !== 'pending');
  }

  start(): void {
    this.#client.start();
  }

  close(): void {
    this.#client.close();
  }

  want(destination: string): void {
    if (!this.#destinations.want(destination)) {
      this.#options.log.warn('too many destinations, this one counts as unknown', { destination });
    }
    this.#pass();
  }

  release(destination: string): void {
    this.#destinations.release(destination);
    this.#pass();
  }

  #receive(type: ResourceType, response: DeltaDiscoveryResponse): string {
    if (type === TYPE.secret) return this.#receiveSecrets(response);
    const kind = KIND[type];
    const { changed, nack } = this.#sets[kind].apply(response);
    for (const name of changed) this.#destinations.changed(kind, name);
    this.#pass();
    return nack;
  }

  #receiveSecrets(response: DeltaDiscoveryResponse): string {
    const { changed, nack } = this.#secrets.apply(response);
    const trust = this.#secrets.get(TRUST_SECRET);
    if (changed.includes(TRUST_SECRET) && trust) {
      this.#trust = trust;
      this.#options.onChange({ ...newChange(), trust });
    }
    return nack;
  }

  /** Changes down, wishes up. */
  #pass(): void {
    const change: ChangeDraft | null = this.#destinations.takeChange();
    if (change !== null) this.#options.onChange(change);
    this.#client.flush();
  }
}
