/**
 * The mesh in force as resources for clients: generated when first asked for, kept until what they were made from changes.
 * Knows when to generate, not what.
 */
import { INBOUND_LISTENER, TYPE } from '#api/names.ts';
import type { ResourceType } from '#api/names.ts';
import type { Mesh } from './model/mesh.ts';
import type { Client, GeneratedResource } from './generate/client.ts';
import type { ResourceProvider } from './serve/provider.ts';

/** How resources are made; see generate/. */
export interface Generator {
  generate(mesh: Mesh, client: Client, type: ResourceType, name: string): GeneratedResource | null;
  list(mesh: Mesh, client: Client, type: ResourceType): readonly string[];
}

/** Answers kept for one mesh at most; beyond it they are made anew each time. */
const MAX_KEPT = 200_000;

export class MeshProvider implements ResourceProvider {
  readonly #generator: Generator;
  readonly #kept = new Map<string, GeneratedResource | null>();
  readonly #lists = new Map<string, readonly string[]>();
  #mesh: Mesh;
  #trust: GeneratedResource;
  #revision = 0;

  constructor(mesh: Mesh, trust: GeneratedResource, generator: Generator) {
    this.#mesh = mesh;
    this.#trust = trust;
    this.#generator = generator;
  }

  get mesh(): Mesh {
    return this.#mesh;
  }

  get revision(): number {
    return this.#revision;
  }

  /** How many resources were generated since the last change. */
  get size(): number {
    return this.#kept.size;
  }

  setMesh(mesh: Mesh): void {
    this.#mesh = mesh;
    this.#kept.clear();
    this.#lists.clear();
    this.#revision++;
  }

  setTrust(trust: GeneratedResource): void {
    this.#trust = trust;
    this.#revision++;
  }

  resource(client: Client, type: ResourceType, name: string): GeneratedResource | null {
    if (type === TYPE.secret) return name === this.#trust.name ? this.#trust : null;
    const key = `${scope(client, name)}|${type}|${name}`;
    const kept = this.#kept.get(key);
    if (kept !== undefined) return kept;
    const made = this.#generator.generate(this.#mesh, client, type, name);
    if (this.#kept.size < MAX_KEPT) this.#kept.set(key, made);
    return made;
  }

  names(client: Client, type: ResourceType): readonly string[] {
    if (type === TYPE.secret) return [this.#trust.name];
    const key = `${client.dialect}|${client.namespace}|${client.workload}|${type}`;
    let names = this.#lists.get(key);
    if (names === undefined) {
      names = this.#generator.list(this.#mesh, client, type);
      this.#lists.set(key, names);
    }
    return names;
  }
}

/** Clients with the same scope get the same resource of this name: only a workload's own inbound side is its alone. */
function scope(client: Client, name: string): string {
  const shared = `${client.dialect}|${client.namespace}`;
  return name.startsWith(INBOUND_LISTENER) ? `${shared}|${client.workload}` : shared;
}
