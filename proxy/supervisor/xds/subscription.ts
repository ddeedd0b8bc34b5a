/**
 * One resource type on the delta stream, seen from the client: names wanted, versions held, what the server must still be told.
 * Pure state after the xDS protocol's incremental variant; knows no stream and no resource.
 */

/** What to send: part of a DeltaDiscoveryRequest. */
export interface SubscriptionRequest {
  readonly subscribe: readonly string[];
  readonly unsubscribe: readonly string[];
  /** Versions kept from an earlier stream; only in the first request of a stream. */
  readonly initialVersions: Readonly<Record<string, string>>;
}

/** The last good version; null: the server said that there is none; undefined: no answer yet. */
export type KnownVersion = string | null | undefined;

export class Subscription {
  readonly #names = new Map<string, KnownVersion>();
  readonly #toSubscribe = new Set<string>();
  readonly #toUnsubscribe = new Set<string>();
  #isFirst = true;

  /** Names wanted, with what is known of them. */
  get names(): ReadonlyMap<string, KnownVersion> {
    return this.#names;
  }

  /** Asks for `name`. One that was just released is asked for anew: its answer was forgotten with it. */
  want(name: string): void {
    if (this.#names.has(name)) return;
    this.#names.set(name, undefined);
    this.#toUnsubscribe.delete(name);
    this.#toSubscribe.add(name);
  }

  release(name: string): void {
    if (!this.#names.delete(name)) return;
    // A name that the server never heard of needs no farewell; telling it anyway is harmless and covers a name wanted again in between.
    this.#toSubscribe.delete(name);
    this.#toUnsubscribe.add(name);
  }

  /** The server's word on a name that is wanted: a version that we took, or null for "does not exist". */
  settle(name: string, version: string | null): void {
    if (this.#names.has(name)) this.#names.set(name, version);
  }

  /** A new stream: the server knows nothing of us. */
  restart(): void {
    this.#isFirst = true;
    this.#toUnsubscribe.clear();
    for (const name of this.#names.keys()) this.#toSubscribe.add(name);
  }

  /** What must be sent now; null: nothing. An empty first request would mean "everything", so it is never made. */
  takeRequest(): SubscriptionRequest | null {
    if (this.#isFirst) this.#toUnsubscribe.clear();
    if (this.#toSubscribe.size + this.#toUnsubscribe.size === 0) return null;
    const request = {
      subscribe: [...this.#toSubscribe],
      unsubscribe: [...this.#toUnsubscribe],
      initialVersions: this.#isFirst ? this.#versions() : {},
    };
    this.#isFirst = false;
    this.#toSubscribe.clear();
    this.#toUnsubscribe.clear();
    return request;
  }

  #versions(): Record<string, string> {
    const versions: Record<string, string> = {};
    for (const [name, version] of this.#names) if (typeof version === 'string') versions[name] = version;
    return versions;
  }
}
