/**
 * The mesh as meant: services with their routes and policies in force, workloads, endpoints.
 * Knows no Kubernetes object, no protobuf, no gRPC. Plain, immutable data.
 */
import type { AppProtocol } from './protocol.ts';
import type { MeshExternal } from './external.ts';
import type { OutboundPolicy } from './outbound.ts';
import type { Route } from './route.ts';
import type { BackendPolicy } from './policy.ts';
import type { StreamPolicy, StreamRoute } from './stream-route.ts';

export interface ServicePort {
  /** Empty when the Service has one unnamed port. */
  readonly name: string;
  readonly port: number;
  readonly protocol: AppProtocol;
  /** Container ports behind it, for inbound listeners. */
  readonly targetPorts: readonly number[];
  /**
   * In order of precedence (Gateway API): the first that matches counts. Never empty: the last is the default route to the Service itself,
   * unless a route of a user took the Service over, in which case what matches no rule is answered 404.
   */
  readonly routes: readonly Route[];
  /** Of opaque connections, by no order: one client sees no server name twice. Empty: all of them go to the Service itself. */
  readonly streamRoutes: readonly StreamRoute[];
  readonly streamPolicy: StreamPolicy;
  /** How connections to the endpoints of this port behave. */
  readonly policy: BackendPolicy;
}

export interface MeshService {
  readonly namespace: string;
  readonly name: string;
  /** `name.namespace.svc.<cluster domain>`. */
  readonly host: string;
  /** Virtual addresses; empty for a headless Service and where none were given. */
  readonly addresses: readonly string[];
  readonly headless: boolean;
  readonly ports: readonly ServicePort[];
}

export type MtlsMode = 'PERMISSIVE' | 'STRICT';

/** One instance: a pod, or a local process. */
export interface Workload {
  readonly namespace: string;
  /** Pod name. */
  readonly name: string;
  /** Deployment or other owner; the pod's name when there is none. */
  readonly owner: string;
  readonly serviceAccount: string;
  /** SPIFFE ID. */
  readonly identity: string;
  readonly addresses: readonly string[];
  /** It has a sidecar: peers use mTLS. */
  readonly meshed: boolean;
  readonly mtlsMode: MtlsMode;
  readonly zone: string;
  /** Ports that Services send to, with the protocol they declared, and the other container ports (`unknown`). By port, ascending. */
  readonly inboundPorts: readonly { readonly port: number; readonly protocol: AppProtocol }[];
}

export interface Endpoint {
  readonly address: string;
  readonly port: number;
  readonly ready: boolean;
  readonly zone: string;
  /** Zones whose clients are to use it, whatever its own is (EndpointSlice `hints.forZones`); absent: nothing is said. */
  readonly forZones?: readonly string[];
  /** Key in `Mesh.workloads`; null when no pod is known at this address. */
  readonly workload: string | null;
  /** `Workload.owner`; empty when no pod is known at this address. */
  readonly owner: string;
  /** SPIFFE ID the peer must prove; null: it has no sidecar, plaintext. */
  readonly identity: string | null;
}

export interface Mesh {
  readonly trustDomain: string;
  readonly clusterDomain: string;
  /** By `namespace/name`. */
  readonly services: ReadonlyMap<string, MeshService>;
  /** By `namespace/pod`. */
  readonly workloads: ReadonlyMap<string, Workload>;
  /** By `namespace/name:port` (Service port). A service port without endpoints has an empty list here. */
  readonly endpoints: ReadonlyMap<string, readonly Endpoint[]>;
  /** By `namespace/name`. */
  readonly externals: ReadonlyMap<string, MeshExternal>;
  readonly outbound: OutboundPolicy;
}

/** `namespace/name:port`: the key of a Service port in `Mesh.endpoints`. */
export function portKey(namespace: string, name: string, port: number): string {
  return `${namespace}/${name}:${port}`;
}
