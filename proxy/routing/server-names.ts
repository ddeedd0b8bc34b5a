/**
 * Which filter chain takes TLS that asks for a name: the exact name, else the longest `*.` suffix, else the chain for all
 * (Envoy `FilterChainMatch.server_names`). Linked once, so that a thousand names cost a lookup for each label of the one asked for.
 */
import type { ServerNameChainConfig, TcpNetworkConfig } from '../config/snapshot.ts';

export class ServerNames {
  /** By exact name, by suffix with its leading dot, and by `*`. */
  readonly #networks = new Map<string, TcpNetworkConfig>();

  constructor(chains: readonly ServerNameChainConfig[]) {
    for (const { names, network } of chains) {
      for (const name of names) this.#networks.set(name.startsWith('*.') ? name.slice(1) : name, network);
    }
  }

  /**
   * Null: no chain matches.
   * @param serverName as the client asks for it, in lower case; empty: it asks for none
   */
  find(serverName: string): TcpNetworkConfig | null {
    // A name that begins with a dot is none, and must not be taken for a suffix.
    const exact = serverName.startsWith('.') ? undefined : this.#networks.get(serverName);
    if (exact !== undefined && serverName !== '*') return exact;
    for (let dot = serverName.indexOf('.', 1); dot > 0; dot = serverName.indexOf('.', dot + 1)) {
      const network = this.#networks.get(serverName.slice(dot));
      if (network !== undefined) return network;
    }
    return this.#networks.get('*') ?? null;
  }
}
