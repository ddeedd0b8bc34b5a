/**
 * One type on one delta stream: what the client asked for, what it has, what it must be told now.
 * A pure state machine after the xDS protocol's incremental variant; knows no socket and no clock.
 */
import type { ResourceType } from '#api/names.ts';
import type { GeneratedResource } from '../generate/client.ts';
import type { Lookup } from './provider.ts';
import { MAX_IN_FLIGHT, RESPONSE_BYTES, WILDCARD, emptyMeansAll, isExcess } from './subscription.ts';
import type { Phase, Receipt, Subscription, SubscriptionView } from './subscription.ts';

export interface DeltaDemand {
  readonly subscribe: readonly string[];
  readonly unsubscribe: readonly string[];
  /** Version by name of what the client brings from an earlier stream; counts in the first request only. */
  readonly initialVersions: Readonly<Record<string, string>>;
  /** Empty: the request answers no response. */
  readonly nonce: string;
  /** Null: an ack, when there is a nonce. */
  readonly error: string | null;
}

export interface DeltaAnswer {
  readonly nonce: string;
  readonly resources: readonly GeneratedResource[];
  readonly removed: readonly string[];
}

/** One name on this stream. */
interface Held {
  /** Version last told; null: told that it does not exist; undefined: nothing told, or to be told again. */
  sent: string | null | undefined;
  acked: string | null;
  nacked: string | null;
}

interface Plan {
  readonly revision: number;
  /** New and changed resources; taken from the end. */
  readonly updates: GeneratedResource[];
  /** Names asked for that do not exist: an answer, not a removal. */
  absent: readonly string[];
  /** Names that the client holds and that are no more. */
  gone: readonly string[];
}

export class DeltaSubscription implements Subscription<DeltaDemand, DeltaAnswer> {
  readonly #type: ResourceType;
  readonly #names = new Set<string>();
  readonly #held = new Map<string, Held>();
  readonly #inFlight = new Map<string, ReadonlyMap<string, string>>();
  #wildcard = false;
  #begun = false;
  /** A first wildcard request is answered even when there is nothing: clients wait for it to finish their start. */
  #owesAnswer = false;
  #lastNack: string | null = null;
  #plan: Plan | null = null;

  constructor(type: ResourceType) {
    this.#type = type;
  }

  get isFull(): boolean {
    return this.#inFlight.size >= MAX_IN_FLIGHT;
  }

  receive(demand: DeltaDemand): Receipt {
    this.#plan = null;
    const receipt = this.#settle(demand);
    const isFirst = !this.#begun;
    this.#begun = true;
    if (isFirst && demand.subscribe.length === 0 && emptyMeansAll(this.#type)) this.#subscribeAll();
    for (const name of demand.subscribe) {
      if (name === WILDCARD) this.#subscribeAll();
      else this.#subscribe(name);
    }
    for (const name of demand.unsubscribe) {
      if (name === WILDCARD) this.#unsubscribeAll();
      else this.#unsubscribe(name);
    }
    if (isExcess(this.#names, demand.subscribe)) return { kind: 'excess' };
    if (isFirst) this.#adopt(demand.initialVersions);
    return receipt;
  }

  next(phase: Phase, lookup: Lookup, nonce: string): DeltaAnswer | null {
    if (!this.#begun || this.isFull) return null;
    if (this.#plan?.revision !== lookup.revision) this.#plan = this.#makePlan(lookup);
    const answer = phase === 'update' ? this.#takeUpdates(this.#plan, nonce) : this.#takeRemovals(this.#plan, nonce);
    if (answer !== null) this.#note(answer);
    return answer;
  }

  resend(names: readonly string[]): void {
    for (const name of names) {
      const held = this.#held.get(name);
      if (held !== undefined) held.sent = undefined;
    }
    this.#plan = null;
  }

  view(): SubscriptionView {
    const entries = [...this.#held];
    return {
      type: this.#type,
      wildcard: this.#wildcard,
      absent: entries.filter(([, held]) => held.sent === null).map(([name]) => name),
      held: entries
        .filter(([, held]) => held.sent !== null)
        .map(([name, held]) => ({ name, sent: held.sent ?? null, acked: held.acked, nacked: held.nacked })),
      lastNack: this.#lastNack,
    };
  }

  /** Books an ack or a nack on the response that it answers. */
  #settle(demand: DeltaDemand): Receipt {
    if (demand.nonce === '') return { kind: 'none' };
    const versions = this.#inFlight.get(demand.nonce);
    if (versions === undefined) return { kind: 'stale' };
    this.#inFlight.delete(demand.nonce);
    for (const [name, version] of versions) {
      const held = this.#held.get(name);
      if (held === undefined) continue;
      if (demand.error === null) {
        held.acked = version;
        held.nacked = null;
      } else {
        held.nacked = version;
        // The client keeps what it had; a newer version may be on its way already.
        if (held.sent === version) held.sent = held.acked ?? undefined;
      }
    }
    this.#lastNack = demand.error;
    if (demand.error === null) return { kind: 'ack', nonce: demand.nonce };
    return { kind: 'nack', nonce: demand.nonce, reason: demand.error, names: [...versions.keys()] };
  }

  #subscribeAll(): void {
    if (!this.#wildcard) this.#owesAnswer = true;
    this.#wildcard = true;
  }

  /** Asking again for a name means that the client may have lost it: it is sent whatever was sent before. */
  #subscribe(name: string): void {
    this.#names.add(name);
    this.#held.set(name, { sent: undefined, acked: null, nacked: null });
  }

  #unsubscribeAll(): void {
    this.#wildcard = false;
    this.#owesAnswer = false;
    for (const name of this.#held.keys()) if (!this.#names.has(name)) this.#held.delete(name);
  }

  /** Below a wildcard the client drops the name but may get it still: it is told anew what holds. */
  #unsubscribe(name: string): void {
    this.#names.delete(name);
    if (this.#wildcard) this.resend([name]);
    else this.#held.delete(name);
  }

  #adopt(versions: Readonly<Record<string, string>>): void {
    for (const [name, version] of Object.entries(versions)) {
      if (!this.#wildcard && !this.#names.has(name)) continue;
      this.#held.set(name, { sent: version, acked: version, nacked: null });
      this.#owesAnswer = false;
    }
  }

  #makePlan(lookup: Lookup): Plan {
    const updates: GeneratedResource[] = [];
    const absent: string[] = [];
    const gone: string[] = [];
    const wanted = this.#wildcard ? new Set([...lookup.names(), ...this.#names]) : this.#names;
    for (const name of wanted) {
      const held = this.#held.get(name);
      const resource = lookup.resource(name);
      if (resource === null) {
        if (held?.sent === undefined) absent.push(name);
        else if (held.sent !== null) gone.push(name);
      } else if (resource.version !== held?.sent && resource.version !== held?.nacked) {
        updates.push(resource);
      }
    }
    if (this.#wildcard) {
      for (const [name, held] of this.#held) {
        if (!wanted.has(name) && held.sent !== null) gone.push(name);
      }
    }
    return { revision: lookup.revision, updates: updates.toReversed(), absent, gone };
  }

  #takeUpdates(plan: Plan, nonce: string): DeltaAnswer | null {
    if (plan.updates.length === 0 && plan.absent.length === 0 && !this.#owesAnswer) return null;
    const resources: GeneratedResource[] = [];
    let bytes = 0;
    for (let resource = plan.updates.pop(); resource !== undefined; resource = plan.updates.pop()) {
      resources.push(resource);
      bytes += resource.message.length + resource.name.length;
      if (bytes >= RESPONSE_BYTES) break;
    }
    const removed = plan.absent;
    plan.absent = [];
    this.#owesAnswer = false;
    return { nonce, resources, removed };
  }

  #takeRemovals(plan: Plan, nonce: string): DeltaAnswer | null {
    if (plan.gone.length === 0) return null;
    const removed = plan.gone;
    plan.gone = [];
    return { nonce, resources: [], removed };
  }

  #note(answer: DeltaAnswer): void {
    for (const { name, version } of answer.resources) {
      const held = this.#held.get(name);
      if (held === undefined) this.#held.set(name, { sent: version, acked: null, nacked: null });
      else held.sent = version;
    }
    for (const name of answer.removed) {
      // What is neither asked for by name nor exists needs no memory.
      if (this.#names.has(name)) this.#held.set(name, { sent: null, acked: null, nacked: null });
      else this.#held.delete(name);
    }
    this.#inFlight.set(answer.nonce, new Map(answer.resources.map(({ name, version }) => [name, version])));
  }
}
