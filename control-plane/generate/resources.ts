/**
 * Resources for a client, by type and name: made at once, or kept by `GeneratorCache` so that a thousand clients that ask for
 * the same cost one encoding. Knows no stream and no subscription.
 */
import { createHash } from 'node:crypto';
import { Secret } from '#api/generated/envoy/extensions/transport_sockets/tls/v3/tls.ts';
import {
  addressName,
  BLACKHOLE_CLUSTER,
  destinationName,
  OUTBOUND_LISTENER,
  PASSTHROUGH_CLUSTER,
  TRUST_SECRET,
  TYPE,
  type ResourceType,
} from '#api/names.ts';
import type { Mesh } from '../model/mesh.ts';
import type { Client, GeneratedResource } from './client.ts';
import { plan } from './plan.ts';

/** Variants kept for one part of the mesh: many more would mean that somebody asks for every port of a pod. */
const MAX_VARIANTS = 256;

type Encoded = Pick<GeneratedResource, 'message' | 'version'>;

/**
 * The resource, or null when there is none of this name for this client.
 * @param trustPem roots of the trust domain
 */
export function generateResource(
  mesh: Mesh,
  client: Client,
  type: ResourceType,
  name: string,
  trustPem: string,
): GeneratedResource | null {
  if (type === TYPE.secret) return name === TRUST_SECRET ? { name, ...versioned(trustSecret(trustPem)) } : null;
  const made = plan(mesh, client, type, name);
  return made === null ? null : { name, ...versioned(made.encode()) };
}

/** Everything that a wildcard subscription gets. Sidecars ask for what they use, by name; a wildcard gives them nothing. */
export function listNames(mesh: Mesh, client: Client, type: ResourceType): readonly string[] {
  if (client.dialect !== 'envoy') return [];
  const special: Partial<Record<ResourceType, string>> = {
    [TYPE.listener]: OUTBOUND_LISTENER,
    [TYPE.route]: OUTBOUND_LISTENER,
    [TYPE.cluster]: PASSTHROUGH_CLUSTER,
    [TYPE.secret]: TRUST_SECRET,
  };
  const names = special[type] === undefined ? [] : [special[type]];
  if (type === TYPE.secret) return names;
  if (type === TYPE.cluster) names.push(BLACKHOLE_CLUSTER);
  for (const { host, addresses, ports } of mesh.services.values()) {
    // Without an address there is nothing to listen for: such Services are found by `Host`.
    if (type === TYPE.listener && addresses.length === 0) continue;
    for (const { port } of ports) {
      names.push(destinationName(host, port));
      if (type === TYPE.listener) names.push(...addresses.slice(1).map((address) => addressName(address, port)));
    }
  }
  names.push(...externalNames(mesh, type));
  return names.sort();
}

/** Those known by one name; what lies below a `*.` cannot be listed. */
function externalNames({ externals }: Mesh, type: ResourceType): string[] {
  if (type === TYPE.endpoints) return [];
  return [...externals.values()].flatMap(({ ports, resolution }) =>
    ports.flatMap(({ port, hosts, captured }) => {
      const byAddress = captured.map((address) => addressName(address, port));
      if (type === TYPE.listener) return byAddress;
      const named = hosts.filter((host) => !host.startsWith('*.')).map((host) => destinationName(host, port));
      if (named.length > 0) return named;
      // Without a host, addresses that are passed through are clusters of their own.
      return resolution === 'static' ? byAddress.slice(0, 1) : byAddress;
    }),
  );
}

/** Keeps encoded resources as long as the parts of the mesh they were made from. Not more than one cache is needed in a process. */
export class GeneratorCache {
  readonly #kept = new WeakMap<object, Map<string, { readonly parts: readonly object[]; readonly encoded: Encoded }>>();
  #trust: { readonly pem: string; readonly encoded: Encoded } | null = null;
  #encodings = 0;

  /** How many resources were encoded so far. */
  get encodings(): number {
    return this.#encodings;
  }

  /** As `generateResource`. */
  generate(mesh: Mesh, client: Client, type: ResourceType, name: string, trustPem: string): GeneratedResource | null {
    if (type === TYPE.secret) return name === TRUST_SECRET ? { name, ...this.#secret(trustPem) } : null;
    const made = plan(mesh, client, type, name);
    if (made === null) return null;
    const { parts, variant } = made;
    const key = `${type} ${variant}`;
    const variants = this.#variantsOf(parts[0]);
    const kept = variants.get(key);
    if (kept !== undefined && parts.every((part, i) => kept.parts[i] === part)) return { name, ...kept.encoded };
    const encoded = this.#encode(made.encode());
    variants.delete(key);
    if (variants.size >= MAX_VARIANTS) variants.delete(variants.keys().next().value ?? '');
    variants.set(key, { parts, encoded });
    return { name, ...encoded };
  }

  #variantsOf(part: object): Map<string, { readonly parts: readonly object[]; readonly encoded: Encoded }> {
    const known = this.#kept.get(part);
    if (known !== undefined) return known;
    const variants = new Map<string, { readonly parts: readonly object[]; readonly encoded: Encoded }>();
    this.#kept.set(part, variants);
    return variants;
  }

  #secret(pem: string): Encoded {
    if (this.#trust?.pem !== pem) this.#trust = { pem, encoded: this.#encode(trustSecret(pem)) };
    return this.#trust.encoded;
  }

  #encode(message: Uint8Array): Encoded {
    this.#encodings++;
    return versioned(message);
  }
}

function trustSecret(pem: string): Uint8Array {
  const trustedCa = { specifier: { $case: 'inlineString', value: pem } } as const;
  return Secret.encode(
    Secret.fromPartial({ name: TRUST_SECRET, type: { $case: 'validationContext', value: { trustedCa } } }),
  ).finish();
}

/** 64 bits of SHA-256: enough to tell states of one resource apart, short enough to read. */
function versioned(message: Uint8Array): Encoded {
  return { message, version: createHash('sha256').update(message).digest('hex').slice(0, 16) };
}
