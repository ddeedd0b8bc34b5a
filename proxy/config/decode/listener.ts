/**
 * `Listener` to a listener of a snapshot: its filter chains, most specific first. Sockets are opened by settings, not by resources,
 * so `bind_to_port` needs no look. What a chain does with bytes stands in network.ts.
 */
import { TrafficDirection } from '#api/generated/envoy/config/core/v3/core.ts';
import { Listener, type FilterChain, type FilterChainMatch } from '#api/generated/envoy/config/listener/v3/listener.ts';
import { EXTENSION, INBOUND_LISTENER } from '#api/names.ts';
import { Problems } from '#base/problems.ts';
import { err, ok, type Result } from '#base/result.ts';
import type { FilterChainConfig, ListenerConfig } from '../snapshot.ts';
import { decodeAddress } from './endpoints.ts';
import { readMessage, shortType } from './message.ts';
import { decodeOutbound, decodeServiceRef } from './metadata.ts';
import { decodeNetwork } from './network.ts';
import { decodeServerNames, type PassedChain } from './server-names.ts';
import { decodeDownstream } from './tls.ts';
import { at, refuse } from './unsupported.ts';

/** What these do, the sidecar does anyway: original destination and detection by first bytes. */
const LISTENER_FILTERS: ReadonlySet<string> = new Set([
  EXTENSION.originalDst,
  EXTENSION.tlsInspector,
  EXTENSION.httpInspector,
]);
/** What the HTTP inspector reports; a chain that names them is for connections that begin like HTTP. */
const HTTP_PROTOCOLS: readonly string[] = ['http/1.0', 'http/1.1', 'h2c'];

/** The listener, or everything that is wrong with it. */
export function decodeListener(bytes: Uint8Array): Result<ListenerConfig, Problems> {
  const problems = new Problems();
  const message = readMessage(Listener, bytes, '', problems);
  if (message === null) return err(problems);
  refuseUnsupported(message, problems);
  const inbound = message.trafficDirection === TrafficDirection.INBOUND || message.name === INBOUND_LISTENER;
  const { address, port } =
    message.address === undefined ? { address: '', port: 0 } : decodeAddress(message.address, 'address', problems);
  const outbound = decodeOutbound(message.metadata, '', problems);
  const listener: ListenerConfig = {
    name: message.name,
    direction: inbound ? 'inbound' : 'outbound',
    address,
    port,
    ...decodeChains(message, inbound, problems),
    service: decodeServiceRef(message.metadata, '', problems),
    ...(outbound !== null && { outbound }),
  };
  return problems.isEmpty ? ok(listener) : err(problems);
}

function refuseUnsupported(message: Listener, problems: Problems): void {
  if (message.name === '') problems.add('name', 'must not be empty');
  if (message.apiListener !== undefined) refuse(problems, 'api_listener', 'a listener without socket', 'filter_chains');
  for (const [i, filter] of message.listenerFilters.entries()) {
    const typeUrl = filter.configType?.value.typeUrl;
    if (!LISTENER_FILTERS.has(typeUrl ?? '')) {
      refuse(problems, `listener_filters[${i}]`, shortType(typeUrl), 'OriginalDst, TlsInspector, HttpInspector');
    }
  }
}

/** A chain while its listener is decoded. */
interface Draft extends PassedChain {
  readonly match: Omit<FilterChainConfig, 'network'>;
  /** Only for connections that begin like HTTP. */
  readonly detected: boolean;
}

/**
 * Envoy chooses by destination port first, then by server name, then by transport, then by application protocol; `default_filter_chain` takes
 * what no chain matched. A TCP chain beside a detected HTTP chain, or the default chain, becomes the fallback of that HTTP chain.
 */
function decodeChains(
  message: Listener,
  inbound: boolean,
  problems: Problems,
): Pick<ListenerConfig, 'chains' | 'serverNames'> {
  const all = message.filterChains.map((chain, i) => decodeChain(chain, `filter_chains[${i}]`, problems));
  const last =
    message.defaultFilterChain === undefined
      ? null
      : decodeChain(message.defaultFilterChain, 'default_filter_chain', problems);
  if (all.length === 0 && last === null && message.apiListener === undefined) {
    problems.add('filter_chains', 'must hold at least one chain');
  }
  const isPassed = ({ match, serverNames }: Draft): boolean =>
    serverNames.length > 0 || (!inbound && match.transport === 'tls' && !match.mtls);
  const drafts = all.filter((draft) => !isPassed(draft));
  refuseTwins(all, problems);
  const chains = drafts.flatMap((draft) => finishChain(draft, drafts, last));
  if (last?.network) chains.push({ ...last.match, network: last.network });
  return {
    chains: chains.toSorted((a, b) => specificity(b) - specificity(a)),
    serverNames: decodeServerNames(all.filter(isPassed), inbound, problems),
  };
}

function specificity(chain: FilterChainConfig): number {
  return (chain.destinationPort === null ? 0 : 2) + (chain.transport === null ? 0 : 1);
}

function sameConnections(a: Draft, b: Draft): boolean {
  return (
    a.match.destinationPort === b.match.destinationPort &&
    a.match.transport === b.match.transport &&
    a.serverNames.join() === b.serverNames.join()
  );
}

function refuseTwins(drafts: readonly Draft[], problems: Problems): void {
  for (const [i, draft] of drafts.entries()) {
    if (drafts.findIndex((d) => sameConnections(d, draft) && d.detected === draft.detected) !== i) {
      problems.add(`filter_chains[${i}].filter_chain_match`, 'matches the same connections as an earlier chain');
    }
  }
}

/** None for a TCP chain that is the fallback of an HTTP chain, and for one that is refused. */
function finishChain(draft: Draft, drafts: readonly Draft[], last: Draft | null): FilterChainConfig[] {
  const { match, network } = draft;
  if (network === null) return [];
  if (!draft.detected && network.kind === 'tcp' && drafts.some((d) => d.detected && sameConnections(d, draft)))
    return [];
  if (network.kind === 'tcp') return [{ ...match, network }];
  const beside = drafts.find((d) => d !== draft && sameConnections(d, draft))?.network;
  // Without a port to match, the default chain can only be meant for what is not HTTP.
  const fallback = beside ?? (draft.detected || match.destinationPort === null ? last?.network : null);
  return [{ ...match, network: { ...network, fallback: fallback?.kind === 'tcp' ? fallback : null } }];
}

function decodeChain(chain: FilterChain, path: string, problems: Problems): Draft {
  const transport = decodeDownstream(chain.transportSocket, at(path, 'transport_socket'), problems);
  const match = decodeChainMatch(chain.filterChainMatch, at(path, 'filter_chain_match'), problems);
  if (transport.mtls && match.transport === 'raw_buffer') {
    problems.add(path, 'cannot terminate TLS on connections that are not TLS', 'set transport_protocol to tls');
  }
  return {
    match: {
      name: chain.name,
      destinationPort: match.destinationPort,
      transport: match.transport,
      mtls: transport.mtls,
    },
    path,
    serverNames: match.serverNames,
    network: decodeNetwork(chain.filters, chain.name, at(path, 'filters'), problems),
    detected: match.detected,
  };
}

function decodeChainMatch(
  match: FilterChainMatch | undefined,
  path: string,
  problems: Problems,
): Pick<FilterChainConfig, 'destinationPort' | 'transport'> & Pick<Draft, 'serverNames' | 'detected'> {
  if (match === undefined) return { destinationPort: null, transport: null, serverNames: [], detected: false };
  const { destinationPort: port, transportProtocol, applicationProtocols } = match;
  if (port !== undefined && (port < 1 || port > 65_535)) problems.add(at(path, 'destination_port'), 'must be a port');
  if (match.prefixRanges.length > 0) refuse(problems, at(path, 'prefix_ranges'), 'matching by address');
  for (const [i, protocol] of applicationProtocols.entries()) {
    if (!HTTP_PROTOCOLS.includes(protocol)) {
      refuse(problems, at(path, `application_protocols[${i}]`), protocol, HTTP_PROTOCOLS.join(', '));
    }
  }
  const known = transportProtocol === 'tls' || transportProtocol === 'raw_buffer' ? transportProtocol : null;
  if (known === null && transportProtocol !== '') {
    refuse(problems, at(path, 'transport_protocol'), transportProtocol, 'tls, raw_buffer');
  }
  return {
    destinationPort: port ?? null,
    transport: known,
    serverNames: match.serverNames.map((name) => name.toLowerCase()),
    detected: applicationProtocols.length > 0,
  };
}
