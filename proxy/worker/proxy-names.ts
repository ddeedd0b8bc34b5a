/**
 * Destinations as applications name them to their HTTP proxy, and as ports that stand for one are named. Knows no connection.
 */
import { addressName, parseDestination } from '#api/names.ts';
import type { HostPort } from './messages.ts';

export type NamedDestination = HostPort & { readonly name: string };

const MAX_NAMES = 1000;

/** Remembers what was parsed, for that costs more than finding it; bounded by starting anew. */
export class ProxyNames {
  readonly #names = new Map<string, NamedDestination | null>();

  /** The destination that an authority names, HTTP's port when it names none; null: it names no host. */
  find(authority: string): NamedDestination | null {
    const known = this.#names.get(authority);
    if (known !== undefined) return known;
    const named = nameOfAuthority(authority);
    if (this.#names.size >= MAX_NAMES) this.#names.clear();
    this.#names.set(authority, named);
    return named;
  }
}

function nameOfAuthority(authority: string): NamedDestination | null {
  const parsed = parseDestination(authority) ?? parseDestination(`${authority}:80`);
  if (parsed === null) return null;
  return { name: addressName(parsed.host, parsed.port), address: parsed.host, port: parsed.port };
}

export function parseNamed(name: string): HostPort | null {
  const parsed = parseDestination(name);
  return parsed === null ? null : { address: parsed.host, port: parsed.port };
}
