/**
 * What every object has: metadata and the place where it was written.
 * Knows no kind.
 */
import type { Place } from '#base/problems.ts';

export interface ObjectMeta {
  readonly name: string;
  /** Empty for cluster-scoped kinds. A namespaced object without one is in `default`. */
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly uid: string;
  readonly generation: number;
  /** Wall time in milliseconds; 0 when unknown (a folder has none). */
  readonly createdMs: number;
}

/** An object as read and checked. */
export interface KubeObject {
  readonly kind: Kind;
  readonly meta: ObjectMeta;
  /** Where it was written; null when it came from an API server. */
  readonly place: Place | null;
  /** The place of a field of this object, by path as in `spec.retries.retryOn[2]`; the object's own place when the field has none. */
  readonly placeOf: (path: string) => Place | null;
}

/** The kinds that are read. */
export const KINDS = [
  'Namespace',
  'ServiceAccount',
  'Service',
  'Deployment',
  'Pod',
  'EndpointSlice',
  'HTTPRoute',
  'GRPCRoute',
  'TLSRoute',
  'TCPRoute',
  'ReferenceGrant',
  'TrafficPolicy',
  'ExternalService',
  'MeshPolicy',
] as const;
export type Kind = (typeof KINDS)[number];

/** `namespace/name`, or `name` for a cluster-scoped object: the key of an object among those of its kind. */
export function objectKey(meta: Pick<ObjectMeta, 'namespace' | 'name'>): string {
  return meta.namespace === '' ? meta.name : `${meta.namespace}/${meta.name}`;
}
