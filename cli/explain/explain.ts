/**
 * What a sidecar would do with a request, and why: compiled, generated, decoded and matched by the code that does it in a mesh.
 * Knows no socket and no state of a running sidecar; how it is shown stands in text.ts.
 */
import { TYPE } from '#api/names.ts';
import { compile } from '../../control-plane/compile/compile.ts';
import { DEFAULT_COMPILE_OPTIONS } from '../../control-plane/compile/compiled.ts';
import {
  backendSettings,
  routeSettings,
  ruleNamed,
  type RuleSource,
  type Setting,
} from '../../control-plane/compile/policies/provenance.ts';
import type { Client } from '../../control-plane/generate/client.ts';
import { fullName } from '../../control-plane/generate/plan.ts';
import type { ExternalService } from '../../control-plane/kinds/external-service.ts';
import type { Service } from '../../control-plane/kinds/service.ts';
import { lookup, type Destination } from '../../control-plane/model/lookups.ts';
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
import type { EndpointState } from '../../proxy/worker/describe.ts';
import { loader, type Load } from './loader.ts';
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
  /** As a running sidecar sees them; empty when none was asked. */
  readonly states: readonly EndpointState[];
}

/** The shape of `tulle explain -o json`; fields are added, never renamed. */
export interface Explanation {
  readonly request: { readonly method: string; readonly authority: string; readonly path: string };
  readonly from: { readonly namespace: string; readonly workload: string | null };
  /** What to bear in mind while reading. */
  readonly notes: readonly string[];
  /** Full name of the port of a Service or ExternalService that the request goes to. */
  readonly destination: string;
  readonly routes: readonly ExplainedRoute[];
  readonly action: RouteActionConfig | null;
  /** Fields that hold for requests of the route. */
  readonly policy: readonly Setting[];
  readonly backends: readonly ExplainedBackend[];
  readonly waits: readonly RetryWait[];
  readonly failures: readonly FailureLine[];
}

type Reachable = Destination & { readonly kind: 'service' | 'external' };

export interface From {
  readonly namespace: string;
  /** Name of the pod, or the beginning of it; empty: any of the namespace. */
  readonly workload: string;
}

/** What a running sidecar says of its clusters, by name. */
export type LiveClusters = ReadonlyMap<string, readonly EndpointState[]>;

/**
 * A reason instead when the destination is none that is asked for by requests.
 * @param live of the sidecar of `from`; empty: what endpoints are is known from the manifests only
 */
export function explain(
  world: World,
  clusterDomain: string,
  from: From,
  asked: Asked,
  live: LiveClusters = new Map(),
): Explanation | string {
  const { mesh } = compile(world, { ...DEFAULT_COMPILE_OPTIONS, clusterDomain });
  const destination = lookup(mesh, asked.destination, from.namespace);
  if (destination === null) return unknownDestination(mesh, asked.destination, from.namespace);
  if (destination.kind === 'workload') {
    return `${asked.destination} is a pod: requests go to exactly this one, with no route and no policy`;
  }
  const { port } = destination;
  const workload = workloadKey(mesh, from);
  const client: Client = { namespace: from.namespace, workload, dialect: 'sidecar' };
  const load = loader(mesh, client);
  const name = fullName(destination);
  const table = load(TYPE.route, name, decodeRoute);
  if (table === null) return `${name} carries ${port.protocol}, so that requests have no routes there`;
  const { authority, path, method, headers } = asked.head;
  const found = findRoute(linkRouteTable(table), authority, method, path, headers);
  const action = found?.config.action ?? null;
  const forward = action?.kind === 'forward' ? action : null;
  const object = objectOf(destination, world);
  const policyAt = (config: ClusterConfig): readonly Setting[] =>
    destination.kind === 'service'
      ? policyOf(config.service, world)
      : object === undefined
        ? []
        : backendSettings(world, object, port.name);
  const backends = forward === null ? [] : backendsOf(forward, { load, live, policyAt });
  const rule = ruleOf(destination, from.namespace, found?.config.name ?? '', world);
  return {
    request: { method, authority, path },
    from: { namespace: from.namespace, workload },
    notes: notesOf(from, workload, live),
    destination: name,
    routes: table.virtualHosts.flatMap((host) => explainRoutes(host.routes.map(linkRoute), found, asked)),
    action,
    policy:
      object === undefined || forward === null || rule === undefined
        ? []
        : routeSettings(world, object, port.name, rule),
    backends,
    waits: retryWaits(forward?.retry ?? null),
    failures: forward === null ? [] : failuresOf(forward, asked.head),
  };
}

function notesOf({ namespace, workload }: From, found: string | null, live: LiveClusters): readonly string[] {
  if (workload === '' || found !== null) {
    return live.size > 0 ? [] : ['what endpoints are is taken from the manifests: no running sidecar was asked'];
  }
  return [`these manifests have no pod ${namespace}/${workload}: the answer holds for any workload of ${namespace}`];
}

function objectOf(
  destination: Reachable,
  { services, externalServices }: World,
): Service | ExternalService | undefined {
  return destination.kind === 'service'
    ? services.get(`${destination.service.namespace}/${destination.service.name}`)
    : externalServices.get(`${destination.external.namespace}/${destination.external.name}`);
}

/** Null: the default route. Undefined: no route that is known. Several entries of a table stand for one rule: only their name counts here. */
function ruleOf(destination: Reachable, namespace: string, name: string, world: World): RuleSource | null | undefined {
  if (destination.kind === 'external') return null;
  const model = visibleRoutes(destination.port.routes, namespace).find((route) => route.name === name);
  return model === undefined ? undefined : ruleNamed(world, model.name, model.grpc);
}

function unknownDestination(mesh: Mesh, name: string, namespace: string): string {
  const known = [...mesh.services.values()].flatMap(({ name, namespace, ports }) =>
    ports.map(({ port }) => `${name}.${namespace}:${port}`),
  );
  const few = known.slice(0, 20).join(', ');
  return `seen from namespace ${namespace}, no Service has the name and port ${name}; there are ${few === '' ? 'none' : few}${known.length > 20 ? ', ...' : ''}`;
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

function explainRoutes(routes: readonly Route[], found: Route | null, { head }: Asked): readonly ExplainedRoute[] {
  return routes.map((route) => {
    const { name } = route.config;
    if (route.order === found?.order) return { name, chosen: true, why: '' };
    const why = whyNot(route, head.authority, head.method, head.path, head.headers);
    return { name, chosen: false, why: why ?? 'would match, but a route before it has the precedence' };
  });
}

/** Where what is known of a backend comes from. */
interface Sources {
  readonly load: Load;
  readonly live: LiveClusters;
  readonly policyAt: (config: ClusterConfig) => readonly Setting[];
}

function backendsOf({ clusters }: ForwardConfig, sources: Sources): readonly ExplainedBackend[] {
  const sum = clusters.reduce((total, { weight }) => total + weight, 0);
  return clusters.map((cluster) => backendOf(cluster, sum, sources));
}

function backendOf(
  { cluster, weight }: WeightedClusterConfig,
  sum: number,
  { load, live, policyAt }: Sources,
): ExplainedBackend {
  const config = load(TYPE.cluster, cluster, decodeCluster);
  const endpoints =
    config?.discovery === 'eds' ? load(TYPE.endpoints, cluster, decodeEndpoints) : (config?.endpoints ?? null);
  return {
    cluster,
    weight,
    percent: sum === 0 ? 0 : (weight * 100) / sum,
    config,
    policy: config === null ? [] : policyAt(config),
    endpoints: endpoints?.endpoints ?? [],
    states: live.get(cluster) ?? [],
  };
}

function policyOf(ref: ServiceRef | null, world: World): readonly Setting[] {
  const service = ref === null ? undefined : world.services.get(`${ref.namespace}/${ref.name}`);
  const port = service?.spec.ports.find(({ port }) => port === ref?.port);
  return service === undefined || port === undefined ? [] : backendSettings(world, service, port.name);
}
