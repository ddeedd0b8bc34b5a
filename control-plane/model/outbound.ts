/**
 * What holds for everything that applications call, whatever the destination. Plain data; knows no object that it came from.
 */
export type UnknownDestinations = 'passthrough' | 'refuse';

export interface OutboundPolicy {
  /** What becomes of connections to places that the mesh does not know. */
  readonly unknownDestinations: UnknownDestinations;
  /** The same for clients of these namespaces. */
  readonly byNamespace: ReadonlyMap<string, UnknownDestinations>;
  /** Ports of external services that are known by name only: what is captured there by address is looked at for its name. Ascending. */
  readonly namedPorts: readonly number[];
}

export const DEFAULT_OUTBOUND_POLICY: OutboundPolicy = {
  unknownDestinations: 'passthrough',
  byNamespace: new Map(),
  namedPorts: [],
};

export function unknownDestinationsFor(policy: OutboundPolicy, namespace: string): UnknownDestinations {
  return policy.byNamespace.get(namespace) ?? policy.unknownDestinations;
}
