/**
 * Which sidecars are told something new by a change: those whose resources would be other ones. Compares the plans of resources, and
 * their bytes where these differ. Sidecars that come or go with the change are none that are told.
 */
import {
  addressName,
  destinationName,
  INBOUND_LISTENER,
  OUTBOUND_LISTENER,
  TYPE,
  type ResourceType,
} from '#api/names.ts';
import type { Client } from '../../control-plane/generate/client.ts';
import { plan } from '../../control-plane/generate/plan.ts';
import type { Mesh } from '../../control-plane/model/mesh.ts';

type Named = readonly [type: ResourceType, name: string];

/** A sidecar, with what it has asked for. */
export interface Subscriber {
  readonly name: string;
  readonly client: Client;
  readonly names: readonly Named[];
}

export interface Told {
  /** `follow`: what they have asked for is known; `may`: whoever talks to a Service that changed is told. */
  readonly basis: 'follow' | 'may';
  /** Sidecars there are. */
  readonly all: number;
  /** Those that are told something new, with the resources. */
  readonly told: readonly ToldSidecar[];
}

export interface ToldSidecar {
  /** `namespace/pod`. */
  readonly sidecar: string;
  /** Deployment or other owner, as in `namespace/name`; empty when it is not known. */
  readonly owner: string;
  readonly resources: readonly string[];
}

const OUTBOUND_TYPES = [TYPE.listener, TYPE.route, TYPE.cluster, TYPE.endpoints] as const;
/** What every sidecar follows, whatever its application calls. */
const OWN: readonly Named[] = [
  [TYPE.listener, INBOUND_LISTENER],
  [TYPE.listener, OUTBOUND_LISTENER],
];

/** @param subscribers null: of no mesh that runs */
export function toldAnew(before: Mesh, after: Mesh, subscribers: readonly Subscriber[] | null): Told {
  const meshes = { before, after, changed: new Map<string, boolean>(), lists: new Map<string, readonly string[]>() };
  const known = subscribers === null ? everyone(before, after) : subscribers.map((one) => ({ ...one, own: [] }));
  const told = known.flatMap(({ name, client, own, names }): readonly ToldSidecar[] => {
    const mine = own.filter(([type, resource]) => isOther(meshes, client, type, resource));
    const others = subscribers === null ? sharedList(meshes, client, names) : changedOf(meshes, client, names);
    const resources = [...new Set([...mine.map(([, resource]) => resource), ...others])];
    if (resources.length === 0) return [];
    const workload = client.workload === null ? undefined : after.workloads.get(client.workload);
    return [
      { sidecar: name, owner: workload === undefined ? '' : `${workload.namespace}/${workload.owner}`, resources },
    ];
  });
  return { basis: subscribers === null ? 'may' : 'follow', all: known.length, told };
}

interface Compared {
  readonly before: Mesh;
  readonly after: Mesh;
  readonly changed: Map<string, boolean>;
  readonly lists: Map<string, readonly string[]>;
}

/** For those that all follow the same: one list for each kind of client. */
function sharedList(meshes: Compared, client: Client, names: readonly Named[]): readonly string[] {
  const kind = kindOf(meshes, client);
  const known = meshes.lists.get(kind);
  if (known !== undefined) return known;
  const list = changedOf(meshes, client, names);
  meshes.lists.set(kind, list);
  return list;
}

function changedOf(meshes: Compared, client: Client, names: readonly Named[]): readonly string[] {
  return names.filter(([type, name]) => isOther(meshes, client, type, name)).map(([, name]) => name);
}

function isOther(meshes: Compared, client: Client, type: ResourceType, name: string): boolean {
  // What is inbound is each one's own.
  const who = name.startsWith(INBOUND_LISTENER) ? client.workload : kindOf(meshes, client);
  const key = `${who} ${type} ${name}`;
  const known = meshes.changed.get(key);
  if (known !== undefined) return known;
  const other = differs(meshes.before, meshes.after, client, type, name);
  meshes.changed.set(key, other);
  return other;
}

/** All that outbound resources depend on of a client: its namespace, its zone, what it understands. */
function kindOf({ before, after }: Compared, { namespace, workload, zone, dialect }: Client): string {
  const zones = [before, after].map((mesh) => zone ?? mesh.workloads.get(workload ?? '')?.zone ?? '');
  return [namespace, dialect, ...zones].join(' ');
}

function differs(before: Mesh, after: Mesh, client: Client, type: ResourceType, name: string): boolean {
  const [old, now] = [plan(before, client, type, name), plan(after, client, type, name)];
  if (old === null || now === null) return old !== now;
  const same = old.variant === now.variant && old.parts.length === now.parts.length;
  if (same && old.parts.every((part, i) => part === now.parts[i])) return false;
  return !Buffer.from(old.encode()).equals(Buffer.from(now.encode()));
}

/** Every workload with a sidecar, as if it followed all that it could. */
function everyone(before: Mesh, after: Mesh): readonly (Subscriber & { readonly own: readonly Named[] })[] {
  const destinations = new Set([...destinationsOf(before), ...destinationsOf(after)]);
  const names = [...destinations].flatMap((name) => OUTBOUND_TYPES.map((type) => [type, name] as const));
  return [...after.workloads]
    .filter(([key, { meshed }]) => meshed && before.workloads.get(key)?.meshed === true)
    .map(([name, { namespace }]) => ({
      name,
      client: { namespace, workload: name, dialect: 'sidecar' },
      own: OWN,
      names,
    }));
}

/** Names of hosts below a `*.` are endless: one stands for them. */
function destinationsOf({ services, externals }: Mesh): readonly string[] {
  return [
    ...[...services.values()].flatMap(({ host, ports }) => ports.map(({ port }) => destinationName(host, port))),
    ...[...externals.values()].flatMap(({ ports }) =>
      ports.flatMap(({ hosts, captured, port }) => [
        ...hosts.map((host) => destinationName(host.replace(/^\*/, 'any'), port)),
        ...captured.map((address) => addressName(address, port)),
      ]),
    ),
  ];
}
