/**
 * What a sidecar would do with a request, and why: compiled, generated, decoded and matched by the code that does it in a mesh.
 * Knows no socket and no state of a running sidecar; how it is shown stands in text.ts.
 */
import { TYPE, type ResourceType } from '#api/names.ts';
import { formatProblems, type Problems } from '#base/problems.ts';
import type { Result } from '#base/result.ts';
import { compile } from '../../control-plane/compile/compile.ts';
import { DEFAULT_COMPILE_OPTIONS } from '../../control-plane/compile/compiled.ts';
import {
  backendSettings,
  routeSettings,
  ruleNamed,
  type Setting,
} from '../../control-plane/compile/policies/provenance.ts';
import type { Client } from '../../control-plane/generate/client.ts';
import { fullName } from '../../control-plane/generate/plan.ts';
import { generateResource } from '../../control-plane/generate/resources.ts';
import { lookup } from '../../control-plane/model/lookups.ts';
import type { Mesh } from '../../control-plane/model/mesh.ts';
import { visibleRoutes } from '../../control-plane/model/route.ts';
import type { World } from '../../control-plane/sources/world.ts';
import { decodeCluster } from '../../proxy/config/decode/cluster.ts';
import { decodeEndpoints } from '../../proxy/config/decode/endpoints.ts';
import { decodeRoute } from '../../proxy/config/decode/route.ts';
import type {
  ClusterConfig,
  EndpointConfig,
  ForwardConfig,
  RouteActionConfig,
  ServiceRef,
  WeightedClusterConfig,
} from '../../proxy/config/snapshot.ts';
import { linkRoute, type Route } from '../../proxy/routing/route.ts';
import { findRoute, linkRouteTable } from '../../proxy/routing/table.ts';
import { whyNot } from '../../proxy/routing/why-not.ts';
import type { Asked } from './request.ts';
import { failuresOf, retryWaits, type FailureLine, type RetryWait } from './failures.ts';

export interface ExplainedRoute {
  /** `namespace/route/rule`, or `default`. */
  readonly name: string;
  readonly chosen: boolean;
  /** Empty for the one that is chosen. */
  readonly why: string;
}

export interface ExplainedBackend {
  readonly cluster: string;
  readonly weight: number;
  /** Of all weights of the route. */
  readonly percent: number;
  /** Null: the cluster does not exist. */
  readonly config: ClusterConfig | null;
  readonly policy: readonly Setting[];
  readonly endpoints: readonly EndpointConfig[];
}

/** The shape of `tulle explain -o json`; fields are added, never renamed. */
export interface Explanation {
  readonly request: { readonly method: string; readonly authority: string; readonly path: string };
  readonly from: { readonly namespace: string; readonly workload: string | null };
  /** Full name of the Service port that the request goes to. */
  readonly destination: string;
  readonly routes: readonly ExplainedRoute[];
  readonly action: RouteActionConfig | null;
  /** Fields that hold for requests of the route. */
  readonly policy: readonly Setting[];
  readonly backends: readonly ExplainedBackend[];
  readonly waits: readonly RetryWait[];
  readonly failures: readonly FailureLine[];
}

export interface From {
  readonly namespace: string;
  /** Name of the pod, or the beginning of it; empty: any of the namespace. */
  readonly workload: string;
}

/** A reason instead when the destination is none that is asked for by requests. */
export function explain(world: World, clusterDomain: string, from: From, asked: Asked): Explanation | string {
  const { mesh } = compile(world, { ...DEFAULT_COMPILE_OPTIONS, clusterDomain });
  const destination = lookup(mesh, asked.destination, from.namespace);
  if (destination === null) return unknownDestination(mesh, asked.destination);
  if (destination.kind !== 'service') {
    return `${asked.destination} is ${destination.kind === 'external' ? 'an ExternalService' : 'a pod'}; explain reads Services only`;
  }
  const { service, port } = destination;
  const client: Client = { namespace: from.namespace, workload: workloadKey(mesh, from), dialect: 'sidecar' };
  const load = loader(mesh, client);
  const name = fullName(destination);
  const table = load(TYPE.route, name, decodeRoute);
  if (table === null) return `${name} carries ${port.protocol}, so that requests have no routes there`;
  const { authority, path, method, headers } = asked.head;
  const found = findRoute(linkRouteTable(table), authority, method, path, headers);
  const action = found?.config.action ?? null;
  const forward = action?.kind === 'forward' ? action : null;
  const backends = forward === null ? [] : backendsOf(forward, world, load);
  // Several entries of a table stand for one rule: only their name counts here.
  const model = visibleRoutes(port.routes, from.namespace).find((route) => route.name === found?.config.name);
  const object = world.services.get(`${service.namespace}/${service.name}`);
  return {
    request: { method, authority, path },
    from: { namespace: from.namespace, workload: client.workload },
    destination: name,
    routes: table.virtualHosts.flatMap((host) => explainRoutes(host.routes.map(linkRoute), found, asked)),
    action,
    policy:
      object === undefined || forward === null || model === undefined
        ? []
        : routeSettings(world, object, port.name, ruleNamed(world, model.name, model.grpc)),
    backends,
    waits: retryWaits(forward?.retry ?? null),
    failures: forward === null ? [] : failuresOf(forward, asked.head),
  };
}

function unknownDestination(mesh: Mesh, name: string): string {
  const known = [...mesh.services.values()].flatMap(({ name, namespace, ports }) =>
    ports.map(({ port }) => `${name}.${namespace}:${port}`),
  );
  const few = known.slice(0, 20).join(', ');
  return `no Service has the name and port ${name}; there are ${few === '' ? 'none' : few}${known.length > 20 ? ', ...' : ''}`;
}

function workloadKey(mesh: Mesh, { namespace, workload }: From): string | null {
  if (workload === '') return null;
  const keys = [...mesh.workloads].filter(([, w]) => w.namespace === namespace);
  return (
    keys.find(([, w]) => w.name === workload || w.owner === workload)?.[0] ??
    keys.find(([, w]) => w.name.startsWith(workload))?.[0] ??
    null
  );
}

type Load = <T>(type: ResourceType, name: string, decode: (bytes: Uint8Array) => Result<T, Problems>) => T | null;

/** What the client's sidecar would have of a name; null: there is no such resource. */
function loader(mesh: Mesh, client: Client): Load {
  return (type, name, decode) => {
    const made = generateResource(mesh, client, type, name, '');
    if (made === null) return null;
    const decoded = decode(made.message);
    // Our own sidecars take what our own control plane makes (test/unit/decode/control-plane.test.ts).
    if (!decoded.ok) throw new Error(`${name}: ${formatProblems(decoded.error)}`);
    return decoded.value;
  };
}

function explainRoutes(routes: readonly Route[], found: Route | null, { head }: Asked): readonly ExplainedRoute[] {
  return routes.map((route) => {
    const { name } = route.config;
    if (route.order === found?.order) return { name, chosen: true, why: '' };
    const why = whyNot(route, head.authority, head.method, head.path, head.headers);
    return { name, chosen: false, why: why ?? 'would match, but a route before it has the precedence' };
  });
}

function backendsOf({ clusters }: ForwardConfig, world: World, load: Load): readonly ExplainedBackend[] {
  const sum = clusters.reduce((total, { weight }) => total + weight, 0);
  return clusters.map((cluster) => backendOf(cluster, sum, world, load));
}

function backendOf(
  { cluster, weight }: WeightedClusterConfig,
  sum: number,
  world: World,
  load: Load,
): ExplainedBackend {
  const config = load(TYPE.cluster, cluster, decodeCluster);
  const endpoints =
    config?.discovery === 'eds' ? load(TYPE.endpoints, cluster, decodeEndpoints) : (config?.endpoints ?? null);
  return {
    cluster,
    weight,
    percent: sum === 0 ? 0 : (weight * 100) / sum,
    config,
    policy: config === null ? [] : policyOf(config.service, world),
    endpoints: endpoints?.endpoints ?? [],
  };
}

function policyOf(ref: ServiceRef | null, world: World): readonly Setting[] {
  const service = ref === null ? undefined : world.services.get(`${ref.namespace}/${ref.name}`);
  const port = service?.spec.ports.find(({ port }) => port === ref?.port);
  return service === undefined || port === undefined ? [] : backendSettings(world, service, port.name);
}
