/**
 * Which virtual host answers for an authority, with Envoy's precedence (`VirtualHost.domains`): exact, then `*suffix` from the longest,
 * then `prefix*` from the longest, then `*`. Case does not count, nor does the port, unless a domain names it. Knows no route.
 */

interface Wildcard<T> {
  /** What stands beside the star. */
  readonly text: string;
  readonly value: T;
}

export class DomainTable<T> {
  readonly #exact = new Map<string, T>();
  readonly #suffixes: Wildcard<T>[] = [];
  readonly #prefixes: Wildcard<T>[] = [];
  #any: T | null = null;

  /** Of equal domains the first added counts. Call `seal` after the last one. */
  add(domain: string, value: T): void {
    const name = domain.toLowerCase();
    if (name === '*') this.#any ??= value;
    else if (name.startsWith('*')) this.#suffixes.push({ text: name.slice(1), value });
    else if (name.endsWith('*')) this.#prefixes.push({ text: name.slice(0, -1), value });
    else if (!this.#exact.has(name)) this.#exact.set(name, value);
  }

  seal(): void {
    this.#suffixes.sort((a, b) => b.text.length - a.text.length);
    this.#prefixes.sort((a, b) => b.text.length - a.text.length);
  }

  find(authority: string): T | null {
    // The most common table has nothing but `*`: then the name need not be looked at.
    if (this.#exact.size === 0 && this.#suffixes.length === 0 && this.#prefixes.length === 0) return this.#any;
    const name = authority.toLowerCase();
    const host = withoutPort(name);
    const exact = this.#exact.get(name) ?? this.#exact.get(host);
    if (exact !== undefined) return exact;
    // The star stands for one character at least.
    for (const { text, value } of this.#suffixes) {
      if (host.length > text.length && host.endsWith(text)) return value;
    }
    for (const { text, value } of this.#prefixes) {
      if (host.length > text.length && host.startsWith(text)) return value;
    }
    return this.#any;
  }
}

/** `reviews:8080` -> `reviews`, `[fd00::1]:80` -> `[fd00::1]`; an address without brackets and port stays as it is. */
function withoutPort(authority: string): string {
  const colon = authority.lastIndexOf(':');
  if (colon < 0 || authority.endsWith(']')) return authority;
  const isBareAddress = !authority.startsWith('[') && authority.indexOf(':') !== colon;
  return isBareAddress ? authority : authority.slice(0, colon);
}
