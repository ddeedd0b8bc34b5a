/**
 * One ADS stream: requests go to the subscription of their type, answers go out one at a time in the order of STEPS.
 * Knows which message is next; the transport below it and the queue that calls it are arguments.
 */
import { TYPE } from '#api/names.ts';
import type { ResourceType } from '#api/names.ts';
import type { Clock, Timer } from '#base/clock.ts';
import type { Caller } from '../identity/caller.ts';
import { introduce } from './node.ts';
import type { Introduction } from './node.ts';
import type { ServeObserver } from './observer.ts';
import { STEPS, isServedType } from './order.ts';
import type { Step } from './order.ts';
import type { Protocol } from './protocol.ts';
import type { Lookup, ResourceProvider } from './provider.ts';
import type { Receipt, Subscription, SubscriptionView } from './subscription.ts';

/** A client that takes nothing for this long is cut off. */
export const STALL_MS = 60_000;

/** Why the server ends a stream, as a gRPC status. */
export type EndReason =
  | 'INVALID_ARGUMENT'
  | 'PERMISSION_DENIED'
  | 'RESOURCE_EXHAUSTED'
  | 'DEADLINE_EXCEEDED'
  | 'INTERNAL';

export interface Transport {
  readonly peer: string;
  /** `flushed` is called when the bytes have left this process; that is the client's back-pressure. */
  write(bytes: Buffer, flushed: () => void): void;
  end(reason: EndReason, details: string): void;
}

export interface StreamOptions<Demand, Answer> {
  readonly protocol: Protocol<Demand, Answer>;
  readonly transport: Transport;
  readonly caller: Caller;
  readonly provider: ResourceProvider;
  readonly observer: ServeObserver;
  readonly clock: Clock;
  /** Asks for a turn in the push queue. */
  readonly wake: () => void;
}

export interface ClientView {
  readonly id: string;
  readonly peer: string;
  readonly protocol: 'delta' | 'sotw';
  readonly namespace: string;
  /** `namespace/pod`; null when the client is no known pod. */
  readonly workload: string | null;
  readonly dialect: string;
  readonly connectedMs: number;
  readonly subscriptions: readonly SubscriptionView[];
}

/** What the registry and the queue see of a stream, whatever its protocol. */
export interface ClientStream {
  readonly name: string;
  /** Something may have changed. */
  wake(): void;
  /** Writes the next response if there is one; see `Serve` in push-queue.ts. */
  serve(done: (more: boolean) => void): void;
  view(): ClientView;
}

export class AdsStream<Demand, Answer> implements ClientStream {
  readonly #options: StreamOptions<Demand, Answer>;
  readonly #subscriptions = new Map<ResourceType, Subscription<Demand, Answer>>();
  readonly #lookups = new Map<ResourceType, Lookup>();
  readonly #connectedAtMs: number;
  #introduction: Introduction | null = null;
  #nonce = 0;
  /** When the present wish to be served arose; null when there is none. */
  #wokenAtMs: number | null = null;
  /** Runs while a response is on its way. */
  #stalled: Timer | null = null;
  #ended = false;

  constructor(options: StreamOptions<Demand, Answer>) {
    this.#options = options;
    this.#connectedAtMs = options.clock.wall();
  }

  get name(): string {
    return this.#introduction?.nodeId ?? this.#options.transport.peer;
  }

  /** No more is written after this. */
  close(): void {
    this.#ended = true;
    this.#stalled?.cancel();
  }

  wake(): void {
    if (this.#ended || this.#introduction === null) return;
    this.#wokenAtMs ??= this.#options.clock.now();
    this.#options.wake();
  }

  receive(bytes: Buffer): void {
    if (this.#ended) return;
    let request;
    try {
      request = this.#options.protocol.read(bytes);
    } catch {
      this.#end('INVALID_ARGUMENT', 'the message is no discovery request');
      return;
    }
    if (this.#introduction === null && !this.#introduce(request.node)) return;
    if (!isServedType(request.typeUrl)) {
      // A client may ask for more than we have, as Envoy does for runtime or scoped routes; such types just stay silent.
      if (request.typeUrl === '') this.#end('INVALID_ARGUMENT', 'type_url is missing');
      return;
    }
    this.#book(request.typeUrl, this.#subscription(request.typeUrl).receive(request.demand));
    this.wake();
  }

  serve(done: (more: boolean) => void): void {
    const next = this.#ended ? null : this.#nextOrEnd();
    if (next === null) {
      this.#wokenAtMs = null;
      done(false);
      return;
    }
    const { transport, protocol, observer, clock } = this.#options;
    const { step, answer } = next;
    const startMs = this.#wokenAtMs ?? clock.now();
    const { names, removed } = protocol.contents(answer);
    if (step.type === TYPE.cluster) this.#warm(names);
    this.#stalled = clock.after(STALL_MS, () => this.#end('DEADLINE_EXCEEDED', 'the client does not read'));
    transport.write(protocol.write(step.type, answer), () => {
      this.#stalled?.cancel();
      observer.pushed(step.type, names.length, removed, clock.now() - startMs);
      done(true);
    });
  }

  view(): ClientView {
    const { transport, protocol, caller } = this.#options;
    return {
      id: this.name,
      peer: transport.peer,
      protocol: protocol.name,
      namespace: caller.namespace,
      workload: this.#introduction?.client.workload ?? null,
      dialect: this.#introduction?.client.dialect ?? '',
      connectedMs: this.#connectedAtMs,
      subscriptions: [...this.#subscriptions.values()].map((subscription) => subscription.view()),
    };
  }

  #introduce(node: Parameters<typeof introduce>[0] | undefined): boolean {
    const introduction =
      node === undefined
        ? ({ ok: false, error: 'the first request has no node' } as const)
        : introduce(node, this.#options.caller);
    if (!introduction.ok) {
      this.#end('PERMISSION_DENIED', introduction.error);
      return false;
    }
    this.#introduction = introduction.value;
    this.#options.observer.connected(this.name);
    return true;
  }

  #subscription(type: ResourceType): Subscription<Demand, Answer> {
    let subscription = this.#subscriptions.get(type);
    if (subscription === undefined) {
      subscription = this.#options.protocol.subscription(type);
      this.#subscriptions.set(type, subscription);
    }
    return subscription;
  }

  #book(type: ResourceType, receipt: Receipt): void {
    const { observer } = this.#options;
    if (receipt.kind === 'ack') observer.acked(type);
    if (receipt.kind === 'nack') observer.nacked(this.name, type, receipt.reason, receipt.names);
    if (receipt.kind === 'excess') this.#end('RESOURCE_EXHAUSTED', 'too many resource names, or one too long');
  }

  /** A resource that cannot be made is our fault; it costs the clients that follow it their stream, and nobody else. */
  #nextOrEnd(): { step: Step; answer: Answer } | null {
    try {
      return this.#next();
    } catch (error) {
      this.#options.observer.failed(this.name, error);
      this.#end('INTERNAL', 'a resource could not be made');
      return null;
    }
  }

  #next(): { step: Step; answer: Answer } | null {
    for (const step of STEPS) {
      const subscription = this.#subscriptions.get(step.type);
      // What comes later in the order may refer to what cannot be said yet, or take away what the client still refers to.
      if (subscription?.isFull === true) return null;
      const nonce = String(this.#nonce + 1);
      const answer = subscription?.next(step.phase, this.#lookup(step.type), nonce) ?? null;
      if (answer !== null) {
        this.#nonce++;
        return { step, answer };
      }
    }
    return null;
  }

  /**
   * Clusters sent anew stay cold until their endpoints come, changed or not (xDS, "Resource warming").
   * Our sidecar keeps its endpoints and needs no second copy.
   */
  #warm(clusters: readonly string[]): void {
    if (this.#introduction?.client.dialect === 'sidecar') return;
    this.#subscriptions.get(TYPE.endpoints)?.resend(clusters);
  }

  #lookup(type: ResourceType): Lookup {
    const known = this.#lookups.get(type);
    if (known !== undefined) return known;
    const { provider } = this.#options;
    const client = this.#introduction?.client;
    if (client === undefined) throw new Error('a stream is served before its client is known');
    const lookup: Lookup = {
      get revision() {
        return provider.revision;
      },
      resource: (name) => provider.resource(client, type, name),
      names: () => provider.names(client, type),
    };
    this.#lookups.set(type, lookup);
    return lookup;
  }

  #end(reason: EndReason, details: string): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#options.transport.end(reason, details);
  }
}
