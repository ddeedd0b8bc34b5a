/**
 * What every parser shares: the envelope (apiVersion, kind, metadata) and the way from problems by path to problems with a place.
 * Knows no kind.
 */
import { type Place, Problems } from '#base/problems.ts';
import { ANYTHING, type Field, integer, string } from './field.ts';
import type { Kind, ObjectMeta } from './meta.ts';
import { object, optional, part, required } from './structure.ts';
import { annotations, dnsLabel, labels } from './text-forms.ts';

/** Where an object comes from, and where its problems go. */
export interface ParseContext {
  readonly problems: Problems;
  /** Null when the object came from an API server. */
  readonly place: Place | null;
  readonly placeOf: (path: string) => Place | null;
}

/** What every parsed object has besides its body; `KubeObject` without the kind. */
export interface Common {
  readonly meta: ObjectMeta;
  readonly place: Place | null;
  readonly placeOf: (path: string) => Place | null;
}

const READ_META = {
  namespace: optional(dnsLabel, ''),
  labels: optional(labels, {}),
  annotations: optional(annotations, {}),
  uid: optional(string(), ''),
  generation: optional(integer(0, Number.MAX_SAFE_INTEGER), 0),
  // `null` in manifests that kubectl wrote.
  creationTimestamp: optional(ANYTHING, null),
};

/** Fields of ObjectMeta that are not read, so that a strict kind can tell a misspelt one. */
const UNREAD_META = {
  deletionGracePeriodSeconds: optional(ANYTHING, null),
  deletionTimestamp: optional(ANYTHING, null),
  finalizers: optional(ANYTHING, null),
  generateName: optional(ANYTHING, null),
  managedFields: optional(ANYTHING, null),
  ownerReferences: optional(ANYTHING, null),
  resourceVersion: optional(ANYTHING, null),
  selfLink: optional(ANYTHING, null),
};

/** The members that every object has. `name` is the form of its name. Of metadata a part is read. */
export function envelope(name: Field<string>) {
  return {
    apiVersion: required(string({ minLength: 1 })),
    kind: required(string({ minLength: 1 })),
    metadata: required(part({ ...READ_META, name: required(name) })),
  };
}

/** Like `envelope`, for kinds of which an unknown field is a problem. */
export function strictEnvelope(name: Field<string>) {
  return {
    ...envelope(name),
    metadata: required(object({ ...READ_META, ...UNREAD_META, name: required(name) })),
  };
}

/** As it comes out of an envelope. */
interface Enveloped {
  readonly metadata: Omit<ObjectMeta, 'createdMs'> & { readonly creationTimestamp: unknown };
}

const CLUSTER_SCOPED: ReadonlySet<Kind> = new Set<Kind>(['Namespace', 'MeshPolicy']);

function metaOf(kind: Kind, { metadata }: Enveloped): ObjectMeta {
  const { name, labels, annotations, uid, generation } = metadata;
  const namespace = CLUSTER_SCOPED.has(kind) ? '' : metadata.namespace || 'default';
  const created = typeof metadata.creationTimestamp === 'string' ? Date.parse(metadata.creationTimestamp) : Number.NaN;
  return { name, namespace, labels, annotations, uid, generation, createdMs: Number.isNaN(created) ? 0 : created };
}

/** Reads the whole object and lets `build` make the kind's type from it; null when it was refused. Problems get the place of their field. */
export function readObject<T extends Enveloped, O>(
  kind: Kind,
  field: Field<T>,
  value: unknown,
  context: ParseContext,
  build: (read: T, common: Common, problems: Problems) => O,
): O | null {
  const problems = new Problems();
  const read = field.read(value, '', problems);
  const { place, placeOf } = context;
  const built = read === undefined ? null : build(read, { meta: metaOf(kind, read), place, placeOf }, problems);
  for (const p of problems.list)
    context.problems.add(p.path, p.reason, p.advice, placeOf(p.path) ?? place ?? undefined);
  if (problems.dropped > 0) context.problems.add('', `and ${problems.dropped} more problems`, '', place ?? undefined);
  return problems.isEmpty ? built : null;
}
