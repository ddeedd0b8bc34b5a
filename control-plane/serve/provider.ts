/**
 * What the server needs to know to serve: who the client is, and which resources there are for it.
 * Knows neither how resources are made nor how they travel.
 */
import type { ResourceType } from '#api/names.ts';

/** `grpc` is a proxyless client, `envoy` any other that is not our sidecar. */
export type Dialect = 'sidecar' | 'envoy' | 'grpc';

/** A client as the resources depend on it. */
export interface ServedClient {
  readonly namespace: string;
  /** Pod name; empty when the client is no known pod. */
  readonly workload: string;
  readonly dialect: Dialect;
}

export interface ServedResource {
  readonly name: string;
  /** The encoded message, without its `Any`. Never changed once served. */
  readonly message: Uint8Array;
  /** The same for the same content, and only then: what decides whether anything is sent. */
  readonly version: string;
}

export interface ResourceProvider {
  /** Moves when anything may have changed; equal revisions give equal answers. */
  readonly revision: number;
  /** Null: there is no such resource for this client. */
  resource(client: ServedClient, type: ResourceType, name: string): ServedResource | null;
  /** Everything that a wildcard subscription of this client gets. */
  names(client: ServedClient, type: ResourceType): readonly string[];
}

/** The provider as one subscription sees it: of one client and one type. */
export interface Lookup {
  readonly revision: number;
  resource(name: string): ServedResource | null;
  names(): readonly string[];
}
