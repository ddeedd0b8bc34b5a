/**
 * Endpoints to ClusterLoadAssignment: one locality a zone, those that a client prefers before the others, health, who answers and whether
 * by mutual TLS. Knows no cluster but its name.
 */
import { HealthStatus, type Metadata } from '#api/generated/envoy/config/core/v3/core.ts';
import { ClusterLoadAssignment, type LbEndpoint } from '#api/generated/envoy/config/endpoint/v3/endpoint.ts';
import { WorkloadRef } from '#api/generated/tulle/config/v1/config.ts';
import { EXTENSION, METADATA, TLS_MODE_FIELD, TLS_MODE_MTLS, TRANSPORT_SOCKET_MATCH } from '#api/names.ts';
import type { Endpoint } from '../model/mesh.ts';
import type { Dialect } from './client.ts';
import { pack, socketAddress } from './messages.ts';

/** @param zone that the client is in and prefers; empty: all endpoints are alike to it */
export function loadAssignment(
  clusterName: string,
  endpoints: readonly Endpoint[],
  dialect: Dialect,
  zone = '',
): ClusterLoadAssignment {
  const near = nearTo(zone, endpoints);
  const localities = [...new Set(near)].sort(nearFirst).flatMap((isNear, priority) => {
    const members = endpoints.filter((_, i) => near[i] === isNear);
    return [...Map.groupBy(members, (endpoint) => endpoint.zone)]
      .sort(byZone)
      .map(([zone, inZone]) => ({ priority, zone, members: inZone }));
  });
  return ClusterLoadAssignment.fromPartial({
    clusterName,
    endpoints: localities.map(({ priority, zone, members }) => ({
      locality: { zone },
      priority,
      lbEndpoints: members.map((endpoint) => lbEndpoint(endpoint, dialect)),
      // gRPC leaves out localities without weight (gRFC A27); elsewhere it says the same as no weight.
      loadBalancingWeight: Math.max(1, members.filter((endpoint) => endpoint.ready).length),
    })),
  });
}

/** As kube-proxy (KEP-2433): hints count when every endpoint has some and the zone is among them; else where an endpoint is. */
function nearTo(zone: string, endpoints: readonly Endpoint[]): readonly boolean[] {
  if (zone === '') return endpoints.map(() => false);
  const hinted = endpoints.map(({ forZones = [] }) => forZones.includes(zone));
  const isHinted = endpoints.every(({ forZones }) => forZones !== undefined) && hinted.includes(true);
  return isHinted ? hinted : endpoints.map((endpoint) => endpoint.zone === zone);
}

function nearFirst(a: boolean, b: boolean): number {
  return Number(b) - Number(a);
}

function byZone(a: readonly [string, unknown], b: readonly [string, unknown]): number {
  return a[0] < b[0] ? -1 : 1;
}

function lbEndpoint(endpoint: Endpoint, dialect: Dialect): LbEndpoint {
  return {
    hostIdentifier: {
      $case: 'endpoint',
      value: { address: socketAddress(endpoint.address, endpoint.port), hostname: '' },
    },
    healthStatus: endpoint.ready ? HealthStatus.HEALTHY : HealthStatus.UNHEALTHY,
    metadata: endpointMetadata(endpoint, dialect),
  };
}

/** Only sidecars can prove who they are, so only they are told to use mutual TLS. */
function endpointMetadata({ workload, owner, identity }: Endpoint, dialect: Dialect): Metadata {
  const metadata: Metadata = { filterMetadata: {}, typedFilterMetadata: {} };
  if (identity !== null && dialect === 'sidecar') {
    metadata.filterMetadata[TRANSPORT_SOCKET_MATCH] = { [TLS_MODE_FIELD]: TLS_MODE_MTLS };
  }
  if (workload !== null) {
    const [namespace = '', pod = ''] = workload.split('/');
    const ref = { namespace, pod, workload: owner, identity: identity ?? '' };
    metadata.typedFilterMetadata[METADATA.workload] = pack(EXTENSION.workloadRef, WorkloadRef, ref);
  }
  return metadata;
}
