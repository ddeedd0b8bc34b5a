/**
 * The endpoints that Services have in a test: those that it names, else those of the manifests, else two that are ready. They are put into
 * the mesh, so that what the control plane makes of endpoints (the zones that are preferred) is made of these as well.
 * Knows no request.
 */
import { addressName } from '#api/names.ts';
import { lookup } from '../../control-plane/model/lookups.ts';
import { portKey, type Endpoint, type Mesh } from '../../control-plane/model/mesh.ts';
import { nearest } from '../../control-plane/kinds/nearest.ts';
import type { EndpointSpec } from './format.ts';

/** By `SERVICE:PORT`, `SERVICE.NAMESPACE:PORT` or `HOST:PORT`. */
export type SaidEndpoints = Readonly<Record<string, readonly EndpointSpec[]>>;

export interface TestEndpoint {
  /** `reviews-v1/0`: how a test calls it. */
  readonly name: string;
  readonly spec: EndpointSpec;
}

export interface TestMesh {
  readonly mesh: Mesh;
  /** By `namespace/service:port` (or `host:port` outside), then by address and port. */
  readonly endpoints: ReadonlyMap<string, ReadonlyMap<string, TestEndpoint>>;
}

const READY = { ready: true, ejected: false, zone: '', answers: null };
const UNSAID: readonly EndpointSpec[] = [
  { ...READY, name: '0' },
  { ...READY, name: '1' },
];

/** Those of a Service that nobody says anything about are made once for all tests of a mesh. */
export class Endpoints {
  readonly #mesh: Mesh;
  readonly #unsaid: TestMesh;

  constructor(mesh: Mesh) {
    this.#mesh = mesh;
    const names = new Map<string, ReadonlyMap<string, TestEndpoint>>();
    const endpoints = new Map<string, readonly Endpoint[]>();
    for (const { namespace, name, ports } of mesh.services.values()) {
      for (const { port } of ports) {
        const key = portKey(namespace, name, port);
        const written = mesh.endpoints.get(key) ?? [];
        const used = written.length > 0 ? written : placed(UNSAID, port);
        endpoints.set(key, used);
        names.set(key, named(name, used, written.length > 0 ? [] : UNSAID));
      }
    }
    this.#unsaid = { mesh: { ...mesh, endpoints }, endpoints: names };
  }

  /** @param namespace where short names are looked for */
  of(said: SaidEndpoints, namespace: string): TestMesh {
    const entries = Object.entries(said);
    if (entries.length === 0) return this.#unsaid;
    const endpoints = new Map(this.#unsaid.mesh.endpoints);
    const names = new Map(this.#unsaid.endpoints);
    for (const [key, specs] of entries) {
      const found = lookup(this.#mesh, key, namespace);
      if (found?.kind === 'external')
        names.set(`${found.host}:${found.port.port}`, outside(found.host, found.port.port, specs));
      if (found?.kind !== 'service') continue;
      const { service, port } = found;
      const id = portKey(service.namespace, service.name, port.port);
      const used = placed(specs, port.port);
      endpoints.set(id, used);
      names.set(id, named(service.name, used, specs));
    }
    return { mesh: { ...this.#unsaid.mesh, endpoints }, endpoints: names };
  }

  /** Why a key names no endpoints; empty: it does. */
  problemOf(key: string, namespace: string): string {
    const found = lookup(this.#mesh, key, namespace);
    if (found !== null && found.kind !== 'workload') return '';
    const known = [...this.#mesh.services.values()].flatMap(({ name, namespace: of, ports }) =>
      ports.flatMap(({ port }) => [...(of === namespace ? [`${name}:${port}`] : []), `${name}.${of}:${port}`]),
    );
    const guess = nearest(key, known);
    const advice = guess === null ? 'write SERVICE:PORT or SERVICE.NAMESPACE:PORT' : `did you mean '${guess}'?`;
    return `is no port of a Service (${advice})`;
  }
}

/** What stands for a host outside of the mesh. */
export function outside(
  host: string,
  port: number,
  specs: readonly EndpointSpec[] = UNSAID,
): ReadonlyMap<string, TestEndpoint> {
  return named(host, placed(specs, port), specs);
}

/** Addresses of 240.0.0.0/4, which nobody uses (RFC 1112). Those of another Service may be the same. */
function placed(specs: readonly EndpointSpec[], port: number): readonly Endpoint[] {
  return specs.map(({ ready, zone }, i) => {
    const address = `240.0.${(i + 1) >> 8}.${(i + 1) & 255}`;
    return { address, port, ready, zone, workload: null, owner: '', identity: null };
  });
}

/** @param specs in the order of `endpoints`; empty: they come from manifests */
function named(
  service: string,
  endpoints: readonly Endpoint[],
  specs: readonly EndpointSpec[],
): ReadonlyMap<string, TestEndpoint> {
  return new Map(
    endpoints.map(({ address, port, workload, ready, zone }, i) => {
      const name = specs[i]?.name ?? workload?.slice(workload.indexOf('/') + 1) ?? address;
      return [
        addressName(address, port),
        { name: `${service}/${name}`, spec: specs[i] ?? { ...READY, name, ready, zone } },
      ];
    }),
  );
}
