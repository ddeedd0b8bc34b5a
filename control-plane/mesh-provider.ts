/**
 * The mesh in force as resources for clients, and the revision that says when to look again.
 * Knows when something may have changed; what resources say and which are kept is generate/'s business.
 */
import type { ResourceType } from '#api/names.ts';
import type { Client, GeneratedResource } from './generate/client.ts';
import { GeneratorCache, listNames } from './generate/resources.ts';
import type { Mesh } from './model/mesh.ts';
import type { ResourceProvider } from './serve/provider.ts';

export class MeshProvider implements ResourceProvider {
  readonly #cache = new GeneratorCache();
  /** Names for wildcards, by dialect and type: they depend on nothing else of a client. */
  readonly #lists = new Map<string, readonly string[]>();
  readonly #trustPem: () => string;
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
    this.#revision++;
  }

  resource(client: Client, type: ResourceType, name: string): GeneratedResource | null {
    return this.#cache.generate(this.#mesh, client, type, name, this.#trustPem());
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
}
