/**
 * Follows destinations: listener -> route tables -> clusters -> endpoints, asking for each as soon as it is known, sharing what several need.
 * A resource comes into force only when all that it refers to was answered (xDS: make before break), so an update never black-holes traffic.
 * Pure: told what was received, it says what to subscribe to and what the worker must know. Knows no stream.
 */
import { isIP } from 'node:net';
import { parseDestination } from '#api/names.ts';
import { isEmptyChange, newChange, type ChangeDraft } from '../../config/change.ts';
import type { DestinationState } from '../../config/snapshot.ts';
import { Published } from './published.ts';
import { addClosure, keyOf, partsOf, refsOf, type Kind, type ResourceKey, type View } from './references.ts';

/** Where wishes go: one call for each name that is first needed or no longer needed by anybody. */
export interface Interest {
  subscribe(kind: Kind, name: string): void;
  unsubscribe(kind: Kind, name: string): void;
}

interface Destination {
  readonly name: string;
  /** Never released, as `inbound`. */
  readonly isPermanent: boolean;
  state: DestinationState;
  needs: ReadonlySet<ResourceKey>;
}

/** Make before break: what is referred to first. */
const ORDER: readonly Kind[] = ['endpoints', 'cluster', 'route', 'listener'];

export class Destinations {
  readonly #received: View;
  readonly #published = new Published();
  readonly #interest: Interest;
  readonly #limit: number;
  /** In the order in which they were last wanted. */
  readonly #destinations = new Map<string, Destination>();
  /** Who needs a resource; its keys are what is subscribed to. */
  readonly #users = new Map<ResourceKey, Set<Destination>>();
  /** Received, but not in force yet. */
  readonly #dirty = new Set<ResourceKey>();
  #change: ChangeDraft = newChange();

  constructor(received: View, interest: Interest, limit: number) {
    this.#received = received;
    this.#interest = interest;
    this.#limit = limit;
  }

  /** Every destination followed, with its state. */
  get states(): ReadonlyMap<string, DestinationState> {
    return new Map([...this.#destinations.values()].map((d) => [d.name, d.state]));
  }

  /** What the worker has. */
  get published(): Published {
    return this.#published;
  }

  state(name: string): DestinationState | undefined {
    return this.#destinations.get(name)?.state;
  }

  /**
   * Follows `name` from now on; one that is followed already is told again if its state is decided. False: there is no room, it counts as unknown.
   * A destination outside the mesh costs only its name, so at the limit the least recently wanted of those makes room.
   */
  want(name: string, isPermanent = false): boolean {
    const known = this.#destinations.get(name);
    if (known !== undefined) {
      this.#destinations.delete(name);
      this.#destinations.set(name, known);
      if (known.state !== 'pending') this.#change.destinations.set(name, known.state);
      return true;
    }
    if (this.#destinations.size >= this.#limit && !this.#evict()) {
      this.#change.destinations.set(name, 'unknown');
      return false;
    }
    const destination: Destination = { name, isPermanent, state: 'pending', needs: new Set() };
    this.#destinations.set(name, destination);
    this.#renew(destination);
    return true;
  }

  /** The worker no longer uses `name`. */
  release(name: string): void {
    const destination = this.#destinations.get(name);
    if (destination?.isPermanent === true) return;
    // One that was refused for want of room is told too, so that it can be wanted again.
    this.#change.destinations.set(name, 'released');
    if (destination === undefined) return;
    this.#destinations.delete(name);
    this.#setNeeds(destination, new Set());
  }

  /** A resource was received, replaced or removed. */
  changed(kind: Kind, name: string): void {
    const key = keyOf(kind, name);
    this.#dirty.add(key);
    for (const destination of this.#users.get(key) ?? []) this.#renew(destination);
  }

  /** Puts in force what is complete; the change for the worker, or null when there is none. */
  takeChange(): ChangeDraft | null {
    const touched = new Set<Destination>();
    for (const kind of ORDER) this.#publishAll(kind, touched);
    for (const destination of touched) {
      this.#renew(destination);
      this.#decide(destination);
    }
    // What nobody refers to any more in the form now in force.
    for (const kind of ORDER.toReversed()) this.#publishAll(kind, touched);
    const change = this.#change;
    this.#change = newChange();
    return isEmptyChange(change) ? null : change;
  }

  #evict(): boolean {
    for (const { name, state, isPermanent } of this.#destinations.values()) {
      if (state !== 'unknown' || isPermanent) continue;
      this.release(name);
      return true;
    }
    return false;
  }

  #publishAll(kind: Kind, touched: Set<Destination>): void {
    for (const key of this.#dirty) {
      const parts = partsOf(key);
      if (parts.kind !== kind || !this.#mayPublish(key)) continue;
      this.#dirty.delete(key);
      this.#published.put(this.#received, parts.kind, parts.name, this.#change);
      for (const destination of this.#users.get(key) ?? []) touched.add(destination);
    }
  }

  /** Whether all that the received form refers to is in force; a removal waits until what is in force no longer refers to it. */
  #mayPublish(key: ResourceKey): boolean {
    const { kind, name } = partsOf(key);
    if (this.#received[kind](name) !== null) return refsOf(this.#received, key).every((ref) => this.#isSettled(ref));
    if (kind === 'listener') return true;
    for (const destination of this.#users.get(key) ?? []) {
      const listener = keyOf('listener', destination.name);
      if (closure(this.#published, listener).has(key) && !closure(this.#received, listener).has(key)) return false;
    }
    return true;
  }

  /** Answered, and what was answered is in force. */
  #isSettled(key: ResourceKey): boolean {
    const { kind, name } = partsOf(key);
    const received = this.#received[kind](name);
    return received === null || (received !== undefined && this.#published[kind](name) === received);
  }

  #decide(destination: Destination): void {
    const listener = this.#received.listener(destination.name);
    const inForce = this.#published.listener(destination.name);
    const state = listener === null ? 'unknown' : inForce ? 'ready' : 'pending';
    if (state === destination.state) return;
    destination.state = state;
    if (state !== 'pending') this.#change.destinations.set(destination.name, state);
  }

  /** Needs follow from what was received and, until that is in force, from what still is. */
  #renew(destination: Destination): void {
    const listener = keyOf('listener', destination.name);
    const needs = closure(this.#received, listener);
    addClosureAll(this.#published, listener, needs);
    if (this.#received.listener(destination.name) === undefined) {
      for (const key of likelyNeeds(destination.name)) needs.add(key);
    }
    this.#setNeeds(destination, needs);
  }

  #setNeeds(destination: Destination, needs: ReadonlySet<ResourceKey>): void {
    const before = destination.needs;
    destination.needs = needs;
    for (const key of needs) if (!before.has(key)) this.#addUser(key, destination);
    for (const key of before) if (!needs.has(key)) this.#dropUser(key, destination);
  }

  #addUser(key: ResourceKey, destination: Destination): void {
    const users = this.#users.get(key);
    if (users !== undefined) {
      users.add(destination);
      return;
    }
    this.#users.set(key, new Set([destination]));
    const { kind, name } = partsOf(key);
    this.#interest.subscribe(kind, name);
  }

  #dropUser(key: ResourceKey, destination: Destination): void {
    const users = this.#users.get(key);
    users?.delete(destination);
    if (users === undefined || users.size > 0) return;
    this.#users.delete(key);
    this.#dirty.delete(key);
    const { kind, name } = partsOf(key);
    this.#published.remove(kind, name, this.#change);
    this.#interest.unsubscribe(kind, name);
  }
}

function closure(view: View, key: ResourceKey): Set<ResourceKey> {
  const keys = new Set<ResourceKey>();
  addClosure(view, key, keys);
  return keys;
}

/** Like `addClosure`, for a set that may hold `key` already from another view. */
function addClosureAll(view: View, key: ResourceKey, into: Set<ResourceKey>): void {
  for (const other of closure(view, key)) into.add(other);
}

/**
 * By the naming rule a Service's listener, route table, cluster and endpoints have one name (docs/wire.md): asking for all four at once saves
 * three round trips on the first request. Addresses and short names tell us nothing.
 */
function likelyNeeds(name: string): readonly ResourceKey[] {
  const parsed = parseDestination(name);
  if (parsed === null || isIP(parsed.host) !== 0 || !parsed.host.includes('.svc.')) return [];
  return [keyOf('route', name), keyOf('cluster', name), keyOf('endpoints', name)];
}
