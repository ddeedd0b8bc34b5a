/**
 * The resources of one type as received: a good one replaces its predecessor, a bad one is refused with all its problems while the last good form stays.
 * Knows how to apply a response; whether a resource is in force yet is decided by destinations.ts.
 */
import type { DeltaDiscoveryResponse, Resource } from '#api/generated/envoy/service/discovery/v3/discovery.ts';
import { formatProblems, type Problems } from '#base/problems.ts';
import type { Result } from '#base/result.ts';
import { Subscription } from './subscription.ts';

/** A NACK is for people to read; longer ones are cut. */
const MAX_NACK_LENGTH = 4096;

/** What one response did. */
export interface Applied {
  /** Names whose value is another than before. */
  readonly changed: readonly string[];
  /** Empty: all good, ACK. */
  readonly nack: string;
}

export class Resources<T> {
  readonly subscription = new Subscription();
  readonly #typeUrl: string;
  readonly #decode: (bytes: Uint8Array) => Result<T, Problems>;
  readonly #values = new Map<string, T | null>();
  #lastNack = '';

  constructor(typeUrl: string, decode: (bytes: Uint8Array) => Result<T, Problems>) {
    this.#typeUrl = typeUrl;
    this.#decode = decode;
  }

  /** The last good form; null: does not exist; undefined: no answer yet. */
  get(name: string): T | null | undefined {
    return this.#values.get(name);
  }

  /** Problems of the last response that was refused; empty once one was taken whole. */
  get lastNack(): string {
    return this.#lastNack;
  }

  want(name: string): void {
    this.subscription.want(name);
  }

  release(name: string): void {
    this.subscription.release(name);
    this.#values.delete(name);
  }

  /** Good resources are taken even when others of the same response are refused (xDS: a NACK does not undo them). */
  apply(response: DeltaDiscoveryResponse): Applied {
    const changed: string[] = [];
    const refused: string[] = [];
    for (const resource of response.resources) {
      const problem = this.#take(resource, changed);
      if (problem !== '') refused.push(`${resource.name}: ${problem}`);
    }
    for (const name of response.removedResources) {
      if (!this.subscription.names.has(name)) continue;
      this.subscription.settle(name, null);
      if (this.#values.get(name) !== null) changed.push(name);
      this.#values.set(name, null);
    }
    this.#lastNack = refused.join('\n').slice(0, MAX_NACK_LENGTH);
    return { changed, nack: this.#lastNack };
  }

  /** Empty when the resource was taken, or is no longer wanted; else everything that is wrong with it. */
  #take(resource: Resource, changed: string[]): string {
    const { name, version } = resource;
    if (!this.subscription.names.has(name)) return '';
    if (resource.resource?.typeUrl !== this.#typeUrl) return `is not of type ${this.#typeUrl}`;
    // The same version is the same content: the object in force keeps its identity.
    if (version !== '' && this.subscription.names.get(name) === version) return '';
    const decoded = this.#decode(resource.resource.value);
    if (!decoded.ok) return formatProblems(decoded.error);
    this.subscription.settle(name, version);
    this.#values.set(name, decoded.value);
    changed.push(name);
    return '';
  }
}
