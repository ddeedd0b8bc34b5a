/**
 * The mesh in force as resources for clients, and the revision that says when to look again.
 * After a change every client asks for all that it follows: what one was told is kept for those like it, until the next change.
 * Knows when something may have changed; what resources say is generate/'s business.
 */
import { INBOUND_LISTENER } from '#api/names.ts';
import type { ResourceType } from '#api/names.ts';
import type { Client, GeneratedResource } from './generate/client.ts';
import { GeneratorCache, listNames } from './generate/resources.ts';
import type { Mesh } from './model/mesh.ts';
import type { ResourceProvider } from './serve/provider.ts';

/** What clients alike were told, by name. */
type Told = Map<string, GeneratedResource | null>;

/** Answers kept for one revision at most; clients choose names, and those that do not exist have answers too. */
const MAX_TOLD = 500_000;

export class MeshProvider implements ResourceProvider {
  readonly #cache = new GeneratorCache();
  /** Names for wildcards, by dialect and type: they depend on nothing else of a client. */
  readonly #lists = new Map<string, readonly string[]>();
  /** By type, then by what a client's resources depend on. */
  readonly #told = new Map<ResourceType, Map<string, Told>>();
  readonly #trustPem: () => string;
  #toldCount = 0;
  #mesh: Mesh;
  #revision = 0;

  /** `trustPem`: roots of the trust domain at this moment. */
  constructor(mesh: Mesh, trustPem: () => string) {
    this.#mesh = mesh;
    this.#trustPem = trustPem;
  }

  get revision(): number {
    return this.#revision;
  }

  /** How many resources were encoded since the start. */
  get encodings(): number {
    return this.#cache.encodings;
  }

  setMesh(mesh: Mesh): void {
    this.#mesh = mesh;
    this.#lists.clear();
    this.#told.clear();
    this.#toldCount = 0;
    this.#revision++;
  }

  resource(client: Client, type: ResourceType, name: string): GeneratedResource | null {
    // A workload's own inbound side is its alone.
    if (name.startsWith(INBOUND_LISTENER)) return this.#generate(client, type, name);
    const told = this.#toldTo(client, type);
    const known = told.get(name);
    if (known !== undefined) return known;
    const resource = this.#generate(client, type, name);
    if (this.#toldCount < MAX_TOLD) {
      told.set(name, resource);
      this.#toldCount++;
    }
    return resource;
  }

  names(client: Client, type: ResourceType): readonly string[] {
    const key = `${client.dialect}|${type}`;
    let names = this.#lists.get(key);
    if (names === undefined) {
      names = listNames(this.#mesh, client, type);
      this.#lists.set(key, names);
    }
    return names;
  }

  #generate(client: Client, type: ResourceType, name: string): GeneratedResource | null {
    return this.#cache.generate(this.#mesh, client, type, name, this.#trustPem());
  }

  #toldTo({ dialect, namespace }: Client, type: ResourceType): Told {
    let byClient = this.#told.get(type);
    if (byClient === undefined) this.#told.set(type, (byClient = new Map()));
    const key = `${dialect} ${namespace}`;
    let told = byClient.get(key);
    if (told === undefined) byClient.set(key, (told = new Map()));
    return told;
  }
}
