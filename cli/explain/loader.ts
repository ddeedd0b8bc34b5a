/** What a sidecar would have of a name: generated and decoded by the code that does it in a mesh. */
import { type ResourceType } from '#api/names.ts';
import { formatProblems, type Problems } from '#base/problems.ts';
import type { Result } from '#base/result.ts';
import type { Client } from '../../control-plane/generate/client.ts';
import { generateResource } from '../../control-plane/generate/resources.ts';
import type { Mesh } from '../../control-plane/model/mesh.ts';

export type Load = <T>(
  type: ResourceType,
  name: string,
  decode: (bytes: Uint8Array) => Result<T, Problems>,
) => T | null;

/** What the client's sidecar would have of a name; null: there is no such resource. */
export function loader(mesh: Mesh, client: Client): Load {
  return (type, name, decode) => {
    const made = generateResource(mesh, client, type, name, '');
    if (made === null) return null;
    const decoded = decode(made.message);
    // Our own sidecars take what our own control plane makes (test/unit/decode/control-plane.test.ts).
    if (!decoded.ok) throw new Error(`${name}: ${formatProblems(decoded.error)}`);
    return decoded.value;
  };
}
