/**
 * Which sidecars are told something new by a change: those whose resources would be other ones. Compares the plans of resources, and
 * their bytes where these differ.
 */
import { destinationName, INBOUND_LISTENER, TYPE, type ResourceType } from '#api/names.ts';
import type { Client } from '../../control-plane/generate/client.ts';
import { plan } from '../../control-plane/generate/plan.ts';
import type { Mesh } from '../../control-plane/model/mesh.ts';
import type { World } from '../../control-plane/sources/world.ts';

/** A client of a control plane that runs, with what it has asked for. */
export interface Subscriber {
  readonly name: string;
  /** Pods that it stands for. */
  readonly replicas: number;
  readonly client: Client;
  readonly names: readonly (readonly [type: ResourceType, name: string])[];
}

export interface Told {
  /** `follow`: what they have asked for is known; `may`: whoever talks to a Service that changed is told. */
  readonly basis: 'follow' | 'may';
  /** Sidecars there are. */
  readonly all: number;
  /** Those that are told something new, with the resources. */
  readonly told: readonly {
    readonly sidecar: string;
    readonly replicas: number;
    readonly resources: readonly string[];
  }[];
}

const OUTBOUND_TYPES = [TYPE.listener, TYPE.route, TYPE.cluster, TYPE.endpoints] as const;

/** @param subscribers null: of no mesh that runs */
export function toldAnew(before: Mesh, after: Mesh, world: World, subscribers: readonly Subscriber[] | null): Told {
  const known = subscribers ?? everyone(after, world);
  const changed = new Map<string, boolean>();
  const told = known.flatMap(({ name, replicas, client, names }) => {
    const resources = names.filter(([type, resource]) => {
      // Only the listener of its own ports depends on more of a client than its namespace and zone.
      const who =
        resource === INBOUND_LISTENER ? client.workload : `${client.namespace} ${client.zone ?? client.workload}`;
      const key = `${who} ${client.dialect} ${type} ${resource}`;
      const seen = changed.get(key) ?? differs(before, after, client, type, resource);
      changed.set(key, seen);
      return seen;
    });
    const labels = [...new Set(resources.map(([, resource]) => resource))];
    return resources.length === 0 ? [] : [{ sidecar: name, replicas, resources: labels }];
  });
  const all = known.reduce((sum, { replicas }) => sum + replicas, 0);
  return { basis: subscribers === null ? 'may' : 'follow', all, told };
}

function differs(before: Mesh, after: Mesh, client: Client, type: ResourceType, name: string): boolean {
  const [old, now] = [plan(before, client, type, name), plan(after, client, type, name)];
  if (old === null || now === null) return old !== now;
  const same = old.variant === now.variant && old.parts.length === now.parts.length;
  if (same && old.parts.every((part, i) => part === now.parts[i])) return false;
  return !Buffer.from(old.encode()).equals(Buffer.from(now.encode()));
}

/** Every workload with a sidecar, as if it followed all Services; without pods, each Deployment. */
function everyone(mesh: Mesh, world: World): readonly Subscriber[] {
  const outbound = destinations(mesh).flatMap((name) => OUTBOUND_TYPES.map((type) => [type, name] as const));
  const pods = [...mesh.workloads].filter(([, workload]) => workload.meshed);
  if (pods.length > 0) {
    return pods.map(([key, { namespace }]) => ({
      name: key,
      replicas: 1,
      client: { namespace, workload: key, dialect: 'sidecar' },
      names: [[TYPE.listener, INBOUND_LISTENER], ...outbound],
    }));
  }
  return [...world.deployments.values()].map(({ meta, spec }) => ({
    name: `${meta.namespace}/${meta.name}`,
    replicas: spec.replicas,
    client: { namespace: meta.namespace, workload: null, dialect: 'sidecar' },
    names: outbound,
  }));
}

function destinations(mesh: Mesh): readonly string[] {
  const services = [...mesh.services.values()].flatMap(({ host, ports }) =>
    ports.map(({ port }) => destinationName(host, port)),
  );
  const externals = [...mesh.externals.values()].flatMap(({ ports }) =>
    ports.flatMap(({ hosts, port }) =>
      hosts.filter((host) => !host.startsWith('*.')).map((host) => destinationName(host, port)),
    ),
  );
  return [...services, ...externals];
}
