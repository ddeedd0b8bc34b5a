/**
 * MeshPolicy, and what namespaces say for themselves, as the outbound policy of the mesh: the namespace before the mesh.
 * Knows no sidecar's flag, which comes before both.
 */
import type { ExternalPort, MeshExternal } from '../model/external.ts';
import { DEFAULT_OUTBOUND_POLICY, type OutboundPolicy, type UnknownDestinations } from '../model/outbound.ts';
import { MESH_POLICY_NAME, UNKNOWN_DESTINATIONS, type UnknownDestinations as Word } from '../kinds/mesh-policy.ts';
import type { World } from '../sources/world.ts';
import { condition, objectStatus, type ObjectStatus } from './conditions.ts';

export const UNKNOWN_ANNOTATION = 'tulle.dev/unknown-destinations';

const WORDS: Readonly<Record<Word, UnknownDestinations>> = { PassThrough: 'passthrough', Refuse: 'refuse' };

export function compileOutbound(
  { namespaces, meshPolicies }: World,
  externals: ReadonlyMap<string, MeshExternal>,
): OutboundPolicy {
  const given = meshPolicies.get(MESH_POLICY_NAME)?.spec.outbound.unknownDestinations ?? null;
  const byNamespace = new Map<string, UnknownDestinations>();
  for (const { meta } of namespaces.values()) {
    const said = UNKNOWN_DESTINATIONS.find((word) => word === meta.annotations[UNKNOWN_ANNOTATION]);
    if (said !== undefined) byNamespace.set(meta.name, WORDS[said]);
  }
  const ports = [...externals.values()].flatMap(({ ports: all }) => all.filter(isNamed).map(({ port }) => port));
  return {
    unknownDestinations: given === null ? DEFAULT_OUTBOUND_POLICY.unknownDestinations : WORDS[given],
    byNamespace,
    namedPorts: [...new Set(ports)].sort((a, b) => a - b),
  };
}

function isNamed({ hosts }: ExternalPort): boolean {
  return hosts.length > 0;
}

export function meshPolicyStatuses({ meshPolicies }: World): readonly ObjectStatus[] {
  return [...meshPolicies.values()].map((policy) =>
    objectStatus(policy, { conditions: [condition(policy, 'Accepted', true, 'Accepted')] }),
  );
}
