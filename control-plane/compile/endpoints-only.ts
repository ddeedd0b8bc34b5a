/**
 * The fast path: only pods and EndpointSlices changed, so only what they can reach is compiled again. The result is that of a
 * whole compilation. Knows no route and no policy: those are taken over.
 */
import type { EndpointSlice } from '../kinds/endpoint-slice.ts';
import { objectKey } from '../kinds/meta.ts';
import type { Pod } from '../kinds/pod.ts';
import { portKey, type Endpoint, type MeshService, type Workload } from '../model/mesh.ts';
import type { World } from '../sources/world.ts';
import type { Compiled } from './compiled.ts';
import { statusKey, type Conditions } from './conditions.ts';
import { endpointsOf, sliceIndex, sliceOwner, type EndpointSources } from './endpoints.ts';
import { podIndex } from './pods.ts';
import { meshPorts, targetPorts } from './services.ts';
import { share } from './sharing.ts';
import { compileWorkload, meshingStatus, selectorIndex, type SelectorIndex } from './workloads.ts';

/** What stood at a key, and what stands there now. */
interface Change<T> {
  readonly key: string;
  readonly before: T | undefined;
  readonly after: T | undefined;
}

/** @param world differs from `compiled.world` in pods and EndpointSlices at most */
export function compileEndpoints(world: World, compiled: Compiled): Compiled {
  const pods = changes(compiled.world.pods, world.pods);
  const slices = changes(compiled.world.endpointSlices, world.endpointSlices);
  if (pods.length === 0 && slices.length === 0) return { ...compiled, world };
  const selectors = selectorIndex(world.services);
  const workloads = changedWorkloads(pods, world, selectors, compiled);
  const sources: EndpointSources = {
    pods: podIndex(world.pods),
    podsByKey: world.pods,
    slices: sliceIndex(world.endpointSlices),
    workloads,
  };
  const services = new MapEdit(compiled.mesh.services);
  const endpoints = new MapEdit(compiled.mesh.endpoints);
  for (const key of affectedServices(pods, slices, world, selectors)) {
    const service = compiled.mesh.services.get(key);
    if (service !== undefined) compileAgain(key, service, world, sources, services, endpoints);
  }
  const mesh = share(compiled.mesh, { ...compiled.mesh, services: services.map, workloads, endpoints: endpoints.map });
  return { ...compiled, mesh, conditions: changedConditions(pods, compiled.conditions), world };
}

/** A copy of a map, made when the first value of it really changes. */
class MapEdit<T> {
  readonly #original: ReadonlyMap<string, T>;
  #copy: Map<string, T> | null = null;

  constructor(original: ReadonlyMap<string, T>) {
    this.#original = original;
  }

  get map(): ReadonlyMap<string, T> {
    return this.#copy ?? this.#original;
  }

  set(key: string, value: T): void {
    const before = this.map.get(key);
    const shared = share(before, value);
    if (shared === before && before !== undefined) return;
    this.#copy ??= new Map(this.#original);
    this.#copy.set(key, shared);
  }

  delete(key: string): void {
    if (!this.map.has(key)) return;
    this.#copy ??= new Map(this.#original);
    this.#copy.delete(key);
  }
}

function changes<T>(before: ReadonlyMap<string, T>, after: ReadonlyMap<string, T>): Change<T>[] {
  if (before === after) return [];
  const changed: Change<T>[] = [];
  for (const [key, value] of after) {
    if (before.get(key) !== value) changed.push({ key, before: before.get(key), after: value });
  }
  for (const [key, value] of before) {
    if (!after.has(key)) changed.push({ key, before: value, after: undefined });
  }
  return changed;
}

function changedWorkloads(
  pods: readonly Change<Pod>[],
  world: World,
  selectors: SelectorIndex,
  { mesh, options }: Compiled,
): ReadonlyMap<string, Workload> {
  const workloads = new MapEdit(mesh.workloads);
  for (const { key, after } of pods) {
    const namespace = after && world.namespaces.get(after.meta.namespace);
    const workload = after === undefined ? null : compileWorkload(after, namespace, selectors, options);
    if (workload === null) workloads.delete(key);
    else workloads.set(key, workload);
  }
  return workloads.map;
}

/** Services that select a changed pod, then or now; that have a changed slice; and whose slices mention a changed pod or its address. */
function affectedServices(
  pods: readonly Change<Pod>[],
  slices: readonly Change<EndpointSlice>[],
  world: World,
  selectors: SelectorIndex,
): ReadonlySet<string> {
  const affected = new Set<string>();
  const names = new Set<string>();
  const addresses = new Set<string>();
  for (const pod of pods.flatMap(({ before, after }) => [before, after])) {
    if (pod === undefined) continue;
    for (const service of selectors.selecting(pod)) affected.add(objectKey(service.meta));
    for (const address of pod.status.podIps) addresses.add(address);
    names.add(objectKey(pod.meta));
  }
  for (const slice of slices.flatMap(({ before, after }) => [before, after])) {
    if (slice !== undefined) affected.add(sliceOwner(slice));
  }
  if (names.size === 0) return affected;
  for (const slice of world.endpointSlices.values()) {
    const mentions = slice.endpoints.some(
      (e) => names.has(`${slice.meta.namespace}/${e.pod}`) || e.addresses.some((address) => addresses.has(address)),
    );
    if (mentions) affected.add(sliceOwner(slice));
  }
  return affected;
}

function compileAgain(
  key: string,
  compiled: MeshService,
  world: World,
  sources: EndpointSources,
  services: MapEdit<MeshService>,
  endpoints: MapEdit<readonly Endpoint[]>,
): void {
  const service = world.services.get(key);
  if (service === undefined) return;
  const specs = meshPorts(service);
  for (const spec of specs) {
    const name = portKey(compiled.namespace, compiled.name, spec.port);
    endpoints.set(name, endpointsOf(service, spec, sources));
  }
  const ports = compiled.ports.map((port, i) => {
    const spec = specs[i];
    return spec === undefined ? port : { ...port, targetPorts: targetPorts(service, spec, sources.pods) };
  });
  services.set(key, { ...compiled, ports });
}

function changedConditions(pods: readonly Change<Pod>[], conditions: Conditions): Conditions {
  const next = new MapEdit(conditions);
  for (const { key, after } of pods) {
    const status = after === undefined ? null : meshingStatus(after);
    if (status === null) next.delete(statusKey('Pod', key));
    else next.set(statusKey('Pod', key), status);
  }
  return next.map;
}
