/**
 * Cluster IPs for Services of a folder that name none, as an API server would give them: from a range, by hash of the Service's name,
 * so that everybody who reads the folder arrives at the same ones. Pure.
 */
import { createHash } from 'node:crypto';
import { err, ok, type Result } from '#base/result.ts';
import type { Service } from '../kinds/service.ts';
import type { World } from './world.ts';

/** An IPv4 range; addresses count from `base`. */
export interface ClusterIpRange {
  readonly base: number;
  readonly size: number;
}

/** `10.96.0.0/16`; between 2^4 and 2^20 addresses. */
export function parseClusterIpRange(text: string): Result<ClusterIpRange, string> {
  const [, a, b, c, d, bits] = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})\/(\d{1,2})$/.exec(text) ?? [];
  const bytes = [a, b, c, d].map(Number);
  const prefix = Number(bits);
  if (bits === undefined || bytes.some((byte) => byte > 255) || prefix < 12 || prefix > 28) {
    return err('must be an IPv4 range of /12 to /28, as in 10.96.0.0/16');
  }
  const size = 2 ** (32 - prefix);
  const address = bytes.reduce((sum, byte) => sum * 256 + byte, 0);
  return ok({ base: address - (address % size), size });
}

/** The same World with an address for each Service that should have one. Its map of Services is shared while theirs is the same. */
export class ClusterIps {
  readonly #range: ClusterIpRange;
  #from: World['services'] | null = null;
  #to: World['services'] = new Map();

  constructor(range: ClusterIpRange) {
    this.#range = range;
  }

  fill(world: World): World {
    if (world.services !== this.#from) {
      this.#from = world.services;
      this.#to = withClusterIps(world.services, this.#range, this.#to);
    }
    return { ...world, services: this.#to };
  }
}

/** Services by key; those in `before` that would be equal stay the same objects. */
export function withClusterIps(
  services: World['services'],
  range: ClusterIpRange,
  before: World['services'] = new Map(),
): World['services'] {
  const taken = new Set([...services.values()].flatMap((service) => service.spec.clusterIps));
  const filled = new Map<string, Service>();
  for (const [key, service] of [...services].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const { spec } = service;
    if (spec.headless || spec.type === 'ExternalName' || spec.clusterIps.length > 0) {
      filled.set(key, service);
      continue;
    }
    const address = freeAddress(key, range, taken);
    const old = before.get(key);
    const isSame = old !== undefined && old.placeOf === service.placeOf && old.spec.clusterIps[0] === address;
    filled.set(key, isSame ? old : { ...service, spec: { ...spec, clusterIps: address === null ? [] : [address] } });
  }
  return filled;
}

/** Neither the first nor the last of the range; null when all are taken. */
function freeAddress(key: string, range: ClusterIpRange, taken: Set<string>): string | null {
  const count = range.size - 2;
  const start = createHash('sha256').update(key).digest().readUInt32BE(0) % count;
  for (let i = 0; i < count; i++) {
    const number = range.base + 1 + ((start + i) % count);
    const address = [24, 16, 8, 0].map((shift) => (number >>> shift) & 255).join('.');
    if (taken.has(address)) continue;
    taken.add(address);
    return address;
  }
  return null;
}
