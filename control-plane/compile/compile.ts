/**
 * World to mesh, and what is to be said about each object. Pure and total: the parsers have refused what is malformed,
 * and what is wrong between objects becomes a condition. Parts that did not change keep their identity.
 */
import { objectKey } from '../kinds/meta.ts';
import type { Service } from '../kinds/service.ts';
import { portKey, type Endpoint, type MeshService, type ServicePort, type Workload } from '../model/mesh.ts';
import type { World } from '../sources/world.ts';
import type { Compiled, CompileOptions } from './compiled.ts';
import { statusKey, type Conditions, type ObjectStatus } from './conditions.ts';
import { compileEndpoints } from './endpoints-only.ts';
import { endpointsOf, sliceIndex, type EndpointSources } from './endpoints.ts';
import { podIndex } from './pods.ts';
import { backendPolicy } from './policies/in-force.ts';
import { Losses, settler } from './policies/settle.ts';
import { policyTable, type PolicyTable } from './policies/targets.ts';
import { protocolOf } from './protocols.ts';
import { attachRoutes, routesOf, type AttachedRoutes } from './routes.ts';
import { meshPorts, meshService, targetPorts } from './services.ts';
import { share } from './sharing.ts';
import { compileWorkload, meshingStatus, selectorIndex } from './workloads.ts';

/** @param previous result for an earlier World; makes this one faster and lets them share what is equal */
export function compile(world: World, options: CompileOptions, previous?: Compiled): Compiled {
  if (previous !== undefined && onlyEndpointsChanged(world, options, previous)) {
    return compileEndpoints(world, previous);
  }
  const workloads = compileWorkloads(world, options);
  const sources: EndpointSources = {
    pods: podIndex(world.pods),
    podsByKey: world.pods,
    slices: sliceIndex(world.endpointSlices),
    workloads,
  };
  const routes = attachRoutes(world);
  const policies = policyTable(world);
  const losses = new Losses();
  const services = new Map<string, MeshService>();
  const endpoints = new Map<string, readonly Endpoint[]>();
  for (const [key, service] of world.services) {
    if (meshPorts(service).length === 0) continue;
    services.set(key, meshService(service, portsOf(service, sources, routes, policies, losses), options.clusterDomain));
    const { namespace, name } = service.meta;
    for (const port of meshPorts(service)) {
      endpoints.set(portKey(namespace, name, port.port), endpointsOf(service, port, sources));
    }
  }
  const { trustDomain, clusterDomain } = options;
  const mesh = share(previous?.mesh, { trustDomain, clusterDomain, services, workloads, endpoints });
  const conditions = collect([...routes.statuses, ...policies.statuses(losses), ...meshingStatuses(world)]);
  return { mesh, conditions: share(previous?.conditions, conditions), world, options };
}

/** Services, routes, policies and namespaces are the very same: only where Services are can differ. */
function onlyEndpointsChanged(
  world: World,
  options: CompileOptions,
  { world: before, options: old }: Compiled,
): boolean {
  return (
    world.services === before.services &&
    world.httpRoutes === before.httpRoutes &&
    world.grpcRoutes === before.grpcRoutes &&
    world.referenceGrants === before.referenceGrants &&
    world.trafficPolicies === before.trafficPolicies &&
    world.namespaces === before.namespaces &&
    options.trustDomain === old.trustDomain &&
    options.clusterDomain === old.clusterDomain &&
    options.defaultMtlsMode === old.defaultMtlsMode
  );
}

function compileWorkloads(world: World, options: CompileOptions): ReadonlyMap<string, Workload> {
  const services = selectorIndex(world.services);
  const workloads = new Map<string, Workload>();
  for (const pod of world.pods.values()) {
    const workload = compileWorkload(pod, world.namespaces.get(pod.meta.namespace), services, options);
    if (workload !== null) workloads.set(objectKey(pod.meta), workload);
  }
  return workloads;
}

function portsOf(
  service: Service,
  sources: EndpointSources,
  routes: AttachedRoutes,
  policies: PolicyTable,
  losses: Losses,
): readonly ServicePort[] {
  return meshPorts(service).map((port) => ({
    name: port.name,
    port: port.port,
    protocol: protocolOf(port),
    targetPorts: targetPorts(service, port, sources.pods),
    routes: routesOf(service, port, routes, policies, losses),
    policy: backendPolicy(settler(policies.levelsOfPort(service, port.name), losses)),
  }));
}

function meshingStatuses(world: World): readonly ObjectStatus[] {
  return [...world.namespaces.values(), ...world.pods.values()].flatMap((object) => meshingStatus(object) ?? []);
}

function collect(statuses: readonly ObjectStatus[]): Conditions {
  return new Map(statuses.map((status) => [statusKey(status.kind, objectKey(status)), status]));
}
