/**
 * One type on one state-of-the-world stream: what the client asked for, what it has, what it must be told now.
 * A pure state machine after the xDS protocol's basic variant; knows no socket and no clock.
 *
 * Listeners and clusters come all together, and what is missing from a response is gone. Routes, endpoints and secrets come by name,
 * only those that changed, and the protocol has no word for their removal.
 */
import { createHash } from 'node:crypto';
import type { ResourceType } from '#api/names.ts';
import type { GeneratedResource } from '../generate/client.ts';
import type { Lookup } from './provider.ts';
import { RESPONSE_BYTES, WILDCARD, emptyMeansAll, isExcess } from './subscription.ts';
import type { Phase, Receipt, Subscription, SubscriptionView } from './subscription.ts';

export interface SotwDemand {
  readonly names: readonly string[];
  /** What the client last accepted; counts in the first request of a stream only, later the nonce says it. */
  readonly version: string;
  readonly nonce: string;
  /** Null: an ack, when there is a nonce. */
  readonly error: string | null;
}

export interface SotwAnswer {
  readonly nonce: string;
  readonly version: string;
  readonly resources: readonly GeneratedResource[];
  /** Names of those that the client did not have as they are. */
  readonly changed: readonly string[];
}

type Content = ReadonlyMap<string, GeneratedResource>;

interface Sent {
  readonly nonce: string;
  readonly phase: Phase;
  readonly version: string;
  readonly resources: Content;
}

export class SotwSubscription implements Subscription<SotwDemand, SotwAnswer> {
  readonly #type: ResourceType;
  readonly #isWhole: boolean;
  #names: ReadonlySet<string> = new Set();
  #wildcard = false;
  #begun = false;
  /** The client waits for an answer, even when the content is what it was or is empty. */
  #owesAnswer = false;
  /** The response that is not answered yet. */
  #inFlight: Sent | null = null;
  /** What the client has: all of a whole type, or the union of what came by name. */
  #has = new Map<string, GeneratedResource>();
  /** Names to send again although they are on their way: their ack does not count. */
  readonly #again = new Set<string>();
  /** Of a whole type the version of everything; by name the version that a client brought from an earlier stream. */
  #hasVersion = '';
  /** Of a whole type what was refused in each phase: before the removals it is another state than after them. */
  readonly #nackedStates = new Map<Phase, string>();
  /** By name: the version that was refused. */
  readonly #nacked = new Map<string, string>();
  #lastNack: string | null = null;
  /** The nonce of the last response that was answered. */
  #lastNonce = '';
  /** By phase: the revision at which there was nothing to say. */
  readonly #quietAt = new Map<Phase, number>();

  constructor(type: ResourceType) {
    this.#type = type;
    this.#isWhole = emptyMeansAll(type);
  }

  get isFull(): boolean {
    return this.#inFlight !== null;
  }

  receive(demand: SotwDemand): Receipt {
    const isFirst = !this.#begun;
    if (!isFirst && demand.nonce !== (this.#inFlight?.nonce ?? this.#lastNonce)) return { kind: 'stale' };
    this.#begun = true;
    this.#quietAt.clear();
    if (isFirst) this.#hasVersion = demand.version;
    const receipt = isFirst ? ({ kind: 'none' } as const) : this.#settle(demand);
    this.#subscribe(demand.names, isFirst);
    return isExcess(this.#names, demand.names) ? { kind: 'excess' } : receipt;
  }

  next(phase: Phase, lookup: Lookup, nonce: string): SotwAnswer | null {
    if (!this.#begun || this.isFull || this.#quietAt.get(phase) === lookup.revision) return null;
    const content = this.#content(lookup);
    const answer = this.#isWhole ? this.#nextWhole(phase, content, nonce) : this.#nextByName(phase, content, nonce);
    if (answer === null) {
      this.#quietAt.set(phase, lookup.revision);
      return null;
    }
    this.#owesAnswer = false;
    this.#inFlight = {
      nonce,
      phase,
      version: answer.version,
      resources: new Map(answer.resources.map((resource) => [resource.name, resource])),
    };
    return answer;
  }

  resend(names: readonly string[]): void {
    for (const name of names) {
      this.#has.delete(name);
      if (this.#inFlight?.resources.has(name) === true) this.#again.add(name);
    }
    this.#quietAt.clear();
  }

  view(): SubscriptionView {
    const sent = new Map([...this.#has, ...(this.#inFlight?.resources ?? [])]);
    return {
      type: this.#type,
      wildcard: this.#wildcard,
      absent: [...this.#names].filter((name) => !sent.has(name)),
      held: [...sent.values()].map(({ name, version }) => ({
        name,
        sent: version,
        acked: this.#has.get(name)?.version ?? null,
        nacked: this.#nacked.get(name) ?? null,
      })),
      lastNack: this.#lastNack,
    };
  }

  #settle(demand: SotwDemand): Receipt {
    const sent = this.#inFlight;
    if (sent === null) return { kind: 'none' };
    this.#inFlight = null;
    this.#lastNonce = sent.nonce;
    this.#lastNack = demand.error;
    if (demand.error !== null) {
      this.#nackedStates.set(sent.phase, sent.version);
      if (this.#isWhole) this.#nacked.clear();
      for (const { name, version } of sent.resources.values()) this.#nacked.set(name, version);
      return { kind: 'nack', nonce: sent.nonce, reason: demand.error, names: [...sent.resources.keys()] };
    }
    this.#hasVersion = sent.version;
    this.#nackedStates.clear();
    for (const name of this.#isWhole ? [...this.#nacked.keys()] : sent.resources.keys()) this.#nacked.delete(name);
    if (this.#isWhole) this.#has = new Map(sent.resources);
    else for (const [name, resource] of sent.resources) if (!this.#again.has(name)) this.#has.set(name, resource);
    this.#again.clear();
    return { kind: 'ack', nonce: sent.nonce };
  }

  #subscribe(names: readonly string[], isFirst: boolean): void {
    const wasWildcard = this.#wildcard;
    // Once names were given, an empty list asks for nothing (xDS, "Unsubscribing From Resources").
    const isOldForm = names.length === 0 && this.#isWhole && (isFirst || (wasWildcard && this.#names.size === 0));
    this.#wildcard = isOldForm || names.includes(WILDCARD);
    const next = new Set(names.filter((name) => name !== WILDCARD));
    const hasMore = [...next].some((name) => !this.#names.has(name)) || (this.#wildcard && !wasWildcard);
    if (hasMore && this.#isWhole && !(isFirst && this.#hasVersion !== '')) this.#owesAnswer = true;
    const hadNames = this.#names.size;
    this.#names = next;
    if (this.#wildcard) return;
    for (const kept of [this.#has, this.#nacked]) {
      for (const name of kept.keys()) if (!next.has(name)) kept.delete(name);
    }
    // To let go of a name is no reason for an answer: what is left is what the client has.
    if (!isFirst && this.#isWhole && !hasMore && next.size < hadNames) this.#hasVersion = this.#versionOf(this.#has);
  }

  #content(lookup: Lookup): Content {
    const content = new Map<string, GeneratedResource>();
    const wanted = this.#wildcard ? new Set([...lookup.names(), ...this.#names]) : this.#names;
    for (const name of wanted) {
      const resource = lookup.resource(name);
      if (resource !== null) content.set(name, resource);
    }
    return content;
  }

  #nextWhole(phase: Phase, content: Content, nonce: string): SotwAnswer | null {
    if (!this.#wildcard && this.#names.size === 0) return null;
    // What is to go stays until the removal phase, when nothing refers to it any more.
    const now = phase === 'update' ? new Map([...this.#has, ...content]) : content;
    const version = this.#versionOf(now);
    const isKnown = version === this.#hasVersion || [...this.#nackedStates.values()].includes(version);
    if (isKnown && !this.#owesAnswer) return null;
    const resources = [...now.values()];
    const changed = resources.filter((resource) => resource.version !== this.#has.get(resource.name)?.version);
    return { nonce, version, resources, changed: changed.map(({ name }) => name) };
  }

  #nextByName(phase: Phase, content: Content, nonce: string): SotwAnswer | null {
    if (phase === 'removal') return null;
    const version = this.#versionOf(content);
    // A client that comes back with everything as it is now.
    if (this.#has.size === 0 && version === this.#hasVersion && this.#lastNonce === '') this.#has = new Map(content);
    const resources: GeneratedResource[] = [];
    let bytes = 0;
    for (const resource of content.values()) {
      const { name } = resource;
      if (resource.version === this.#has.get(name)?.version || resource.version === this.#nacked.get(name)) continue;
      resources.push(resource);
      bytes += resource.message.length + name.length;
      if (bytes >= RESPONSE_BYTES) break;
    }
    return resources.length === 0 ? null : { nonce, version, resources, changed: resources.map(({ name }) => name) };
  }

  /** One word for all of it: names asked for, and versions. */
  #versionOf(content: Content): string {
    const hash = createHash('sha256');
    const names = new Set([...content.keys(), ...this.#names]);
    for (const name of [...names].sort()) hash.update(`${name}\0${content.get(name)?.version ?? ''}\n`);
    return hash.digest('base64url').slice(0, 22);
  }
}
