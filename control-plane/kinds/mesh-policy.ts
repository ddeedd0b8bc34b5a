/**
 * MeshPolicy (tulle.dev/v1alpha1): what holds for the whole mesh. Cluster-scoped; there is one, named `default`.
 * Knows nothing of flags and annotations that may say otherwise.
 */
import { ANYTHING, checked, choice, string } from './field.ts';
import type { KubeObject } from './meta.ts';
import { type ParseContext, readObject, strictEnvelope } from './object.ts';
import { object, optional, required } from './structure.ts';

export const UNKNOWN_DESTINATIONS = ['PassThrough', 'Refuse'] as const;
export type UnknownDestinations = (typeof UNKNOWN_DESTINATIONS)[number];

/** The one name there is. */
export const MESH_POLICY_NAME = 'default';

export interface MeshPolicy extends KubeObject {
  readonly kind: 'MeshPolicy';
  readonly spec: {
    readonly outbound: {
      /** Null: not given. */
      readonly unknownDestinations: UnknownDestinations | null;
    };
  };
}

const OUTBOUND = object({
  unknownDestinations: optional(
    choice(UNKNOWN_DESTINATIONS),
    null,
    'What becomes of connections to places that are neither Services nor ExternalServices. Default: PassThrough.',
  ),
});

/** What the CRD's schema is made from. */
export const MESH_POLICY_SPEC = object({
  outbound: optional(OUTBOUND, { unknownDestinations: null }, 'What applications call.'),
});

const name = checked(
  string({ minLength: 1, maxLength: 253 }),
  (text) => (text === MESH_POLICY_NAME ? '' : `${JSON.stringify(text)} is not the name of the mesh's policy`),
  `write ${MESH_POLICY_NAME}: a mesh has one`,
);

const MESH_POLICY = object({
  ...strictEnvelope(name),
  spec: required(MESH_POLICY_SPEC),
  status: optional(ANYTHING, null),
});

export function parseMeshPolicy(value: unknown, context: ParseContext): MeshPolicy | null {
  return readObject('MeshPolicy', MESH_POLICY, value, context, ({ spec }, common) => ({
    kind: 'MeshPolicy',
    ...common,
    spec,
  }));
}
