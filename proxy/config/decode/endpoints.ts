/**
 * `ClusterLoadAssignment` to the endpoints of a cluster. Localities are flattened: zone and priority stay with each endpoint.
 * Constraints are those of Envoy's endpoint_components.proto.
 */
import { isIP } from 'node:net';
import { HealthStatus, type Address } from '#api/generated/envoy/config/core/v3/core.ts';
import {
  ClusterLoadAssignment,
  type LbEndpoint,
  type LocalityLbEndpoints,
} from '#api/generated/envoy/config/endpoint/v3/endpoint.ts';
import { Problems } from '#base/problems.ts';
import { err, ok, type Result } from '#base/result.ts';
import type { EndpointConfig, EndpointsConfig } from '../snapshot.ts';
import { readMessage } from './message.ts';
import { decodeWorkload, saysMtls, transportSocketMatch } from './metadata.ts';
import { at } from './unsupported.ts';

/** Degraded ones are used like healthy ones. */
const USABLE: ReadonlySet<HealthStatus> = new Set([HealthStatus.UNKNOWN, HealthStatus.HEALTHY, HealthStatus.DEGRADED]);

/** Envoy's bound. */
const MAX_PRIORITY = 128;

/** The endpoints, or everything that is wrong with them. */
export function decodeEndpoints(bytes: Uint8Array): Result<EndpointsConfig, Problems> {
  const problems = new Problems();
  const message = readMessage(ClusterLoadAssignment, bytes, '', problems);
  if (message === null) return err(problems);
  if (message.clusterName === '') problems.add('cluster_name', 'must not be empty');
  const endpoints = decodeAssignment(message, '', problems);
  return problems.isEmpty ? ok({ cluster: message.clusterName, endpoints }) : err(problems);
}

/** The endpoints of an assignment that was read already. Of several with the same address the first counts, as in Envoy. */
export function decodeAssignment(
  assignment: ClusterLoadAssignment,
  path: string,
  problems: Problems,
): readonly EndpointConfig[] {
  const all = assignment.endpoints.flatMap((locality, i) =>
    decodeLocality(locality, at(path, `endpoints[${i}]`), problems),
  );
  const seen = new Set<string>();
  return all.filter(({ address, port }) => {
    const key = `${address}|${port}`;
    return !seen.has(key) && seen.add(key);
  });
}

function decodeLocality(locality: LocalityLbEndpoints, path: string, problems: Problems): readonly EndpointConfig[] {
  if (locality.priority > MAX_PRIORITY) problems.add(at(path, 'priority'), `must be at most ${MAX_PRIORITY}`);
  return locality.lbEndpoints.map((endpoint, i) =>
    decodeEndpoint(endpoint, locality, at(path, `lb_endpoints[${i}]`), problems),
  );
}

function decodeEndpoint(
  endpoint: LbEndpoint,
  { locality, priority }: LocalityLbEndpoints,
  path: string,
  problems: Problems,
): EndpointConfig {
  const where = at(path, 'endpoint.address');
  const { address, port } = decodeAddress(endpoint.hostIdentifier?.value.address, where, problems);
  if (port === 0) problems.add(at(where, 'socket_address.port_value'), 'must not be 0');
  const weight = endpoint.loadBalancingWeight ?? 1;
  if (weight < 1) problems.add(at(path, 'load_balancing_weight'), 'must be at least 1');
  const mtls = saysMtls(transportSocketMatch(endpoint.metadata));
  const { workload, identity } = decodeWorkload(endpoint.metadata, path, problems);
  return {
    address,
    port,
    healthy: USABLE.has(endpoint.healthStatus),
    weight,
    zone: locality?.zone ?? '',
    ...(priority > 0 && { priority }),
    mtls,
    identity: mtls ? identity : '',
    workload,
  };
}

/** An IP address and port; names are not resolved. */
export function decodeAddress(
  address: Address | undefined,
  path: string,
  problems: Problems,
): { readonly address: string; readonly port: number } {
  if (address?.address?.$case !== 'socketAddress') {
    problems.add(path, 'must be a socket_address');
    return { address: '', port: 0 };
  }
  const socket = address.address.value;
  const port = socket.portSpecifier?.value ?? 0;
  if (isIP(socket.address) === 0) problems.add(at(path, 'socket_address.address'), 'must be an IP address');
  if (port > 65_535) problems.add(at(path, 'socket_address.port_value'), 'must be at most 65535');
  return { address: socket.address, port };
}
