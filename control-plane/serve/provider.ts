/**
 * What the server needs to know to serve: who the client is, and which resources there are for it.
 * Knows neither how resources are made nor how they travel.
 */
import type { ResourceType } from '#api/names.ts';
import type { Client, GeneratedResource } from '../generate/client.ts';

export interface ResourceProvider {
  /** Moves when anything may have changed; equal revisions give equal answers. */
  readonly revision: number;
  /** Null: there is no such resource for this client. */
  resource(client: Client, type: ResourceType, name: string): GeneratedResource | null;
  /** Everything that a wildcard subscription of this client gets. */
  names(client: Client, type: ResourceType): readonly string[];
}

/** The provider as one subscription sees it: of one client and one type. */
export interface Lookup {
  readonly revision: number;
  resource(name: string): GeneratedResource | null;
  names(): readonly string[];
}
