/**
 * What the compiler has to say about each object: conditions in the words of Gateway API (`metav1.Condition`), with `observedGeneration`.
 * Knows neither who reads them nor when they changed.
 */
import type { Place } from '#base/problems.ts';
import { objectKey, type Kind, type KubeObject } from '../kinds/meta.ts';

export interface Condition {
  readonly type: 'Accepted' | 'ResolvedRefs' | 'Conflicted' | 'Overridden' | 'InForce';
  readonly status: 'True' | 'False';
  /** One word in CamelCase; those of Gateway API where it has one. */
  readonly reason: string;
  /** For people, without final stop. */
  readonly message: string;
  /** `metadata.generation` that this was said about. */
  readonly observedGeneration: number;
}

/** Something that an object attaches to: a parent of a route, a target of a policy. */
export interface ParentRefStatus {
  readonly group: string;
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
  /** Empty: all of it. */
  readonly sectionName: string;
  readonly port: number | null;
}

export interface ParentStatus {
  readonly ref: ParentRefStatus;
  readonly conditions: readonly Condition[];
}

export interface ObjectStatus {
  readonly kind: Kind;
  readonly namespace: string;
  readonly name: string;
  /** Where the object was written; null when it came from an API server. */
  readonly place: Place | null;
  /** One for each parentRef or targetRef, in their order. */
  readonly parents: readonly ParentStatus[];
  /** About the object itself; for kinds that attach to nothing. */
  readonly conditions: readonly Condition[];
}

/** By `statusKey`. Only objects about which something is to be said. */
export type Conditions = ReadonlyMap<string, ObjectStatus>;

/**
 * `HTTPRoute shop/reviews`: key of an object among the conditions, and its name for people.
 * @param key `objectKey` of it
 */
export function statusKey(kind: Kind, key: string): string {
  return `${kind} ${key}`;
}

export function condition(
  object: KubeObject,
  type: Condition['type'],
  status: boolean,
  reason: string,
  message = '',
): Condition {
  return { type, status: status ? 'True' : 'False', reason, message, observedGeneration: object.meta.generation };
}

export function objectStatus(
  object: KubeObject,
  said: Partial<Pick<ObjectStatus, 'parents' | 'conditions'>>,
): ObjectStatus {
  const { kind, meta, place } = object;
  const { parents = [], conditions = [] } = said;
  return { kind, namespace: meta.namespace, name: meta.name, place, parents, conditions };
}

/** Gateway API: the older object goes first, then the alphabetical order of `namespace/name`. */
export function byAge(a: KubeObject, b: KubeObject): number {
  if (a.meta.createdMs !== b.meta.createdMs) return a.meta.createdMs - b.meta.createdMs;
  return compareText(objectKey(a.meta), objectKey(b.meta));
}

/** Order by code units, the same in every locale. */
export function compareText(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
