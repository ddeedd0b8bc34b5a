/**
 * Filter chains for TLS that is passed on as it is, chosen by the server name of the handshake (Envoy `FilterChainMatch.server_names`).
 * Knows no listener.
 */
import type { Problems } from '#base/problems.ts';
import type { HttpNetworkConfig, ServerNameChainConfig, TcpNetworkConfig } from '../snapshot.ts';
import { at, refuse } from './unsupported.ts';

/** A chain that matches TLS and does not end it. */
export interface PassedChain {
  /** Of the chain in its message. */
  readonly path: string;
  /** Lower-case; none: any handshake that no other chain matches. */
  readonly serverNames: readonly string[];
  readonly network: HttpNetworkConfig | TcpNetworkConfig | null;
}

/** A label that is `*` as a whole may stand first; elsewhere a star is no name (Envoy refuses it too). */
const SERVER_NAME = /^(\*\.)?[^*]+$/;

export function decodeServerNames(
  passed: readonly PassedChain[],
  inbound: boolean,
  problems: Problems,
): readonly ServerNameChainConfig[] {
  const seen = new Set<string>();
  return passed.flatMap(({ path, serverNames, network }) => {
    const where = at(path, 'filter_chain_match.server_names');
    if (inbound) refuse(problems, where, 'matching by server name on the inbound side');
    for (const name of serverNames) {
      if (!SERVER_NAME.test(name)) problems.add(where, `${name} is no server name`, 'write db.example or *.db.example');
      if (seen.has(name)) problems.add(where, `${name} stands in an earlier chain already`);
      seen.add(name);
    }
    if (network?.kind === 'http') {
      refuse(problems, at(path, 'filters[0]'), 'HTTP inside of TLS that is not ended here', 'TcpProxy');
      return [];
    }
    return network === null ? [] : [{ names: serverNames.length === 0 ? ['*'] : serverNames, network }];
  });
}
