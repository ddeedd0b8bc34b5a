/**
 * A provider whose resources a test sets, and a lookup over one type.
 */
import type { ResourceType } from '#api/names.ts';
import type { GeneratedResource } from '../../control-plane/generate/client.ts';
import type { Lookup, ResourceProvider } from '../../control-plane/serve/provider.ts';

/** A name at which the provider throws, as one with a defect would. */
export const DEFECT = 'defect';

export class FakeProvider implements ResourceProvider {
  revision = 0;
  readonly #resources = new Map<string, GeneratedResource>();

  /** Version 0 removes. */
  set(
    type: ResourceType,
    name: string,
    version: number,
    message: Uint8Array = Buffer.from(`${name} v${version}`),
  ): void {
    this.revision++;
    if (version === 0) this.#resources.delete(`${type}|${name}`);
    else this.#resources.set(`${type}|${name}`, { name, message, version: `v${version}` });
  }

  resource(_client: unknown, type: ResourceType, name: string): GeneratedResource | null {
    if (name === DEFECT) throw new Error('cannot be made');
    return this.#resources.get(`${type}|${name}`) ?? null;
  }

  names(_client: unknown, type: ResourceType): readonly string[] {
    const prefix = `${type}|`;
    return [...this.#resources.keys()].filter((key) => key.startsWith(prefix)).map((key) => key.slice(prefix.length));
  }

  lookup(type: ResourceType): Lookup {
    const revision = (): number => this.revision;
    return {
      get revision() {
        return revision();
      },
      resource: (name) => this.resource(null, type, name),
      names: () => this.names(null, type),
    };
  }
}
