/**
 * The World: every object as last read in good form. Plain, immutable; a new one for each batch of changes, sharing what did not change.
 * Knows no file and no API server, and nothing of what objects mean together.
 */
import type { Deployment } from '../kinds/deployment.ts';
import type { EndpointSlice } from '../kinds/endpoint-slice.ts';
import type { ExternalService } from '../kinds/external-service.ts';
import type { GrpcRoute } from '../kinds/grpc-route.ts';
import type { HttpRoute } from '../kinds/http-route.ts';
import type { MeshPolicy } from '../kinds/mesh-policy.ts';
import type { Kind } from '../kinds/meta.ts';
import type { Namespace } from '../kinds/namespace.ts';
import type { Pod } from '../kinds/pod.ts';
import type { ReferenceGrant } from '../kinds/reference-grant.ts';
import type { ServiceAccount } from '../kinds/service-account.ts';
import type { Service } from '../kinds/service.ts';
import type { TcpRoute } from '../kinds/tcp-route.ts';
import type { TlsRoute } from '../kinds/tls-route.ts';
import type { TrafficPolicy } from '../kinds/traffic-policy.ts';

/** Keys are `objectKey(meta)`. Each map keeps its identity while nothing in it changed. */
export interface World {
  readonly namespaces: ReadonlyMap<string, Namespace>;
  readonly serviceAccounts: ReadonlyMap<string, ServiceAccount>;
  readonly services: ReadonlyMap<string, Service>;
  readonly deployments: ReadonlyMap<string, Deployment>;
  readonly pods: ReadonlyMap<string, Pod>;
  readonly endpointSlices: ReadonlyMap<string, EndpointSlice>;
  readonly httpRoutes: ReadonlyMap<string, HttpRoute>;
  readonly grpcRoutes: ReadonlyMap<string, GrpcRoute>;
  readonly tlsRoutes: ReadonlyMap<string, TlsRoute>;
  readonly tcpRoutes: ReadonlyMap<string, TcpRoute>;
  readonly referenceGrants: ReadonlyMap<string, ReferenceGrant>;
  readonly trafficPolicies: ReadonlyMap<string, TrafficPolicy>;
  readonly externalServices: ReadonlyMap<string, ExternalService>;
  readonly meshPolicies: ReadonlyMap<string, MeshPolicy>;
}

export type AnyObject =
  | Namespace
  | ServiceAccount
  | Service
  | Deployment
  | Pod
  | EndpointSlice
  | HttpRoute
  | GrpcRoute
  | TlsRoute
  | TcpRoute
  | ReferenceGrant
  | TrafficPolicy
  | ExternalService
  | MeshPolicy;

/** What a source reports: an object in good form, or that it is gone. */
export type ObjectEvent =
  | { readonly type: 'set'; readonly object: AnyObject }
  | { readonly type: 'delete'; readonly kind: Kind; readonly key: string };

export const EMPTY_WORLD: World = {
  namespaces: new Map(),
  serviceAccounts: new Map(),
  services: new Map(),
  deployments: new Map(),
  pods: new Map(),
  endpointSlices: new Map(),
  httpRoutes: new Map(),
  grpcRoutes: new Map(),
  tlsRoutes: new Map(),
  tcpRoutes: new Map(),
  referenceGrants: new Map(),
  trafficPolicies: new Map(),
  externalServices: new Map(),
  meshPolicies: new Map(),
};
