/**
 * World to mesh, and what is to be said about each object. Pure and total: the parsers have refused what is malformed,
 * and what is wrong between objects becomes a condition. Parts that did not change keep their identity.
 */
import { objectKey } from '../kinds/meta.ts';
import type { Service, ServicePortSpec } from '../kinds/service.ts';
import { portKey, type Endpoint, type MeshService, type ServicePort, type Workload } from '../model/mesh.ts';
import type { World } from '../sources/world.ts';
import type { Compiled, CompileOptions } from './compiled.ts';
import { statusKey, type Conditions, type ObjectStatus } from './conditions.ts';
import { compileExternals } from './externals.ts';
import { compileOutbound, meshPolicyStatuses } from './outbound.ts';
import { compileEndpoints } from './endpoints-only.ts';
import { endpointsOf, sliceIndex, type EndpointSources } from './endpoints.ts';
import { podIndex } from './pods.ts';
import { backendPolicy } from './policies/in-force.ts';
import { Losses, settler } from './policies/settle.ts';
import { streamPolicy } from './policies/streams.ts';
import { policyTable, type PolicyTable } from './policies/targets.ts';
import { protocolOf } from './protocols.ts';
import { attachRoutes, routesOf, type AttachedRoutes } from './routes.ts';
import { meshPorts, meshService, targetPorts } from './services.ts';
import { share } from './sharing.ts';
import { attachStreams, type AttachedStreams } from './stream-routes.ts';
import { compileWorkload, meshingStatus, selectorIndex } from './workloads.ts';

/** @param previous result for an earlier World; makes this one faster and lets them share what is equal */
export function compile(world: World, options: CompileOptions, previous?: Compiled): Compiled {
  if (previous !== undefined && onlyEndpointsChanged(world, options, previous)) {
    return compileEndpoints(world, previous);
  }
  const workloads = compileWorkloads(world, options, previous);
  const sources: EndpointSources = {
    pods: podIndex(world.pods),
    podsByKey: world.pods,
    slices: sliceIndex(world.endpointSlices),
    workloads,
  };
  const placeOf = placer(world, options, sources, previous);
  const routes = attachRoutes(world);
  const streams = attachStreams(world, routes);
  const policies = policyTable(world);
  const losses = new Losses();
  const services = new Map<string, MeshService>();
  const endpoints = new Map<string, readonly Endpoint[]>();
  for (const [key, service] of world.services) {
    if (meshPorts(service).length === 0) continue;
    const placed = meshPorts(service).map((port) => ({ port, place: placeOf(service, port) }));
    for (const { port, place } of placed) endpoints.set(endpointsKey(service, port), place.endpoints);
    const ports = placed.map(({ port, place }) =>
      meshPort(service, port, place, { routes, streams }, policies, losses),
    );
    services.set(key, meshService(service, ports, options.clusterDomain));
  }
  const { trustDomain, clusterDomain } = options;
  const { externals, statuses } = compileExternals(world.externalServices, policies, losses, clusterDomain);
  const outbound = compileOutbound(world, externals);
  const mesh = share(previous?.mesh, {
    trustDomain,
    clusterDomain,
    services,
    workloads,
    endpoints,
    externals,
    outbound,
  });
  const conditions = collect([
    ...routes.statuses,
    ...streams.statuses,
    ...statuses,
    ...policies.statuses(losses),
    ...meshingStatuses(world),
    ...meshPolicyStatuses(world),
  ]);
  return { mesh, conditions: share(previous?.conditions, conditions), world, options };
}

/** Services, routes, policies and namespaces are the very same: only where Services are can differ. */
function onlyEndpointsChanged(world: World, options: CompileOptions, previous: Compiled): boolean {
  const { world: before } = previous;
  return (
    world.services === before.services &&
    world.httpRoutes === before.httpRoutes &&
    world.grpcRoutes === before.grpcRoutes &&
    world.tlsRoutes === before.tlsRoutes &&
    world.tcpRoutes === before.tcpRoutes &&
    world.referenceGrants === before.referenceGrants &&
    world.trafficPolicies === before.trafficPolicies &&
    world.externalServices === before.externalServices &&
    world.meshPolicies === before.meshPolicies &&
    world.namespaces === before.namespaces &&
    sameOptions(options, previous.options)
  );
}

/** Whatever Services, routes and policies say, the same pods are at the same places. */
function samePlaces(world: World, options: CompileOptions, previous: Compiled): boolean {
  const { world: before } = previous;
  return (
    world.pods === before.pods &&
    world.endpointSlices === before.endpointSlices &&
    world.namespaces === before.namespaces &&
    sameOptions(options, previous.options)
  );
}

function sameOptions(a: CompileOptions, b: CompileOptions): boolean {
  return (
    a.trustDomain === b.trustDomain && a.clusterDomain === b.clusterDomain && a.defaultMtlsMode === b.defaultMtlsMode
  );
}

function compileWorkloads(
  world: World,
  options: CompileOptions,
  previous: Compiled | undefined,
): ReadonlyMap<string, Workload> {
  if (previous?.world.services === world.services && samePlaces(world, options, previous)) {
    return previous.mesh.workloads;
  }
  const services = selectorIndex(world.services);
  const workloads = new Map<string, Workload>();
  for (const pod of world.pods.values()) {
    const workload = compileWorkload(pod, world.namespaces.get(pod.meta.namespace), services, options);
    if (workload !== null) workloads.set(objectKey(pod.meta), workload);
  }
  return workloads;
}

/** Where a Service port is. */
type Place = Pick<ServicePort, 'targetPorts'> & { readonly endpoints: readonly Endpoint[] };

/** Finds places. A route or policy that changes moves nothing, and to look for every pod again would be most of the work. */
function placer(
  world: World,
  options: CompileOptions,
  sources: EndpointSources,
  previous: Compiled | undefined,
): (service: Service, port: ServicePortSpec) => Place {
  const kept = previous !== undefined && samePlaces(world, options, previous) ? previous : null;
  return (service, port) => {
    const key = objectKey(service.meta);
    if (kept?.world.services.get(key) === service) {
      const before = kept.mesh.services.get(key)?.ports.find((p) => p.port === port.port);
      const endpoints = kept.mesh.endpoints.get(endpointsKey(service, port));
      if (before !== undefined && endpoints !== undefined) return { targetPorts: before.targetPorts, endpoints };
    }
    return {
      targetPorts: targetPorts(service, port, sources.pods),
      endpoints: endpointsOf(service, port, sources),
    };
  };
}

function endpointsKey({ meta }: Service, { port }: ServicePortSpec): string {
  return portKey(meta.namespace, meta.name, port);
}

function meshPort(
  service: Service,
  port: ServicePortSpec,
  place: Place,
  { routes, streams }: { readonly routes: AttachedRoutes; readonly streams: AttachedStreams },
  policies: PolicyTable,
  losses: Losses,
): ServicePort {
  const settle = settler(policies.levelsOfPort(service, port.name), losses);
  return {
    name: port.name,
    port: port.port,
    protocol: protocolOf(port),
    targetPorts: place.targetPorts,
    routes: routesOf(service, port, routes, policies, losses),
    streamRoutes: streams.routesOf(service, port),
    streamPolicy: streamPolicy(settle),
    policy: backendPolicy(settle),
  };
}

function meshingStatuses(world: World): readonly ObjectStatus[] {
  return [...world.namespaces.values(), ...world.pods.values()].flatMap((object) => meshingStatus(object) ?? []);
}

function collect(statuses: readonly ObjectStatus[]): Conditions {
  return new Map(statuses.map((status) => [statusKey(status.kind, objectKey(status)), status]));
}
