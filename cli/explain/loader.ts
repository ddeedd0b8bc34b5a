/** What a sidecar would have of a name: generated and decoded by the code that does it in a mesh. */
import { type ResourceType } from '#api/names.ts';
import { formatProblems, type Problems } from '#base/problems.ts';
import type { Result } from '#base/result.ts';
import type { Client, GeneratedResource } from '../../control-plane/generate/client.ts';
import { generateResource, GeneratorCache } from '../../control-plane/generate/resources.ts';
import type { Mesh } from '../../control-plane/model/mesh.ts';

type Decode<T> = (bytes: Uint8Array) => Result<T, Problems>;

/** Null: there is no such resource. */
export type Load = <T>(type: ResourceType, name: string, decode: Decode<T>) => T | null;

/** What the client's sidecar would have of a name. */
export function loader(mesh: Mesh, client: Client): Load {
  return (type, name, decode) => {
    const made = generateResource(mesh, client, type, name, '');
    return made === null ? null : decoded(made, decode);
  };
}

/** The same for many clients of meshes that share most of their parts: what is equal is made once. */
export class LoadCache {
  readonly #generator = new GeneratorCache();
  /** By type and content. */
  readonly #kept = new Map<string, unknown>();

  loader(mesh: Mesh, client: Client): Load {
    return <T>(type: ResourceType, name: string, decode: Decode<T>) => {
      const made = this.#generator.generate(mesh, client, type, name, '');
      if (made === null) return null;
      const key = `${type} ${made.version}`;
      if (!this.#kept.has(key)) this.#kept.set(key, decoded(made, decode));
      return this.#kept.get(key) as T;
    };
  }
}

function decoded<T>({ name, message }: GeneratedResource, decode: Decode<T>): T {
  const result = decode(message);
  // Our own sidecars take what our own control plane makes (test/unit/decode/control-plane.test.ts).
  if (!result.ok) throw new Error(`${name}: ${formatProblems(result.error)}`);
  return result.value;
}
