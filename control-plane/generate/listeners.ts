/**
 * Outbound listeners: what a connection to one destination is. HTTP with a route table, opaque bytes to a cluster, or to be
 * detected: HTTP, and opaque otherwise. Knows no HTTP route and no endpoint.
 */
import { TrafficDirection } from '#api/generated/envoy/config/core/v3/core.ts';
import {
  Listener,
  type Filter,
  type FilterChain,
  type ListenerFilter,
} from '#api/generated/envoy/config/listener/v3/listener.ts';
import { HttpInspector } from '#api/generated/envoy/extensions/filters/listener/http_inspector/v3/http_inspector.ts';
import { OriginalDst } from '#api/generated/envoy/extensions/filters/listener/original_dst/v3/original_dst.ts';
import { TlsInspector } from '#api/generated/envoy/extensions/filters/listener/tls_inspector/v3/tls_inspector.ts';
import {
  HttpConnectionManager,
  type HttpFilter,
} from '#api/generated/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.ts';
import { Router } from '#api/generated/envoy/extensions/filters/http/router/v3/router.ts';
import type { Any } from '#api/generated/google/protobuf/any.ts';
import { EXTENSION, METADATA } from '#api/names.ts';
import type { MeshService, ServicePort } from '../model/mesh.ts';
import type { AppProtocol } from '../model/protocol.ts';
import { DEFAULT_STREAM_POLICY, type StreamPolicy, type StreamRoute } from '../model/stream-route.ts';
import type { Dialect } from './client.ts';
import { IDLE_FILTERS } from './filters.ts';
import { ADS, pack, serviceRef, socketAddress } from './messages.ts';
import { routeFilter, serverNameChain, tcpFilter } from './streams.ts';

/** What the HTTP inspector says of connections that begin like HTTP. */
export const HTTP_PROTOCOLS: readonly string[] = ['http/1.0', 'http/1.1', 'h2c'];

/** Chains for what is no HTTP. */
interface OpaqueChains {
  readonly tcp: Filter;
  /** For TLS by the name it asks for; with any, TLS that none of them matches is refused. */
  readonly serverNames: readonly FilterChain[];
}

/** What of the mesh decides how a client sees a Service port. */
export interface ListenerView {
  readonly service: MeshService;
  readonly port: ServicePort;
  /** The captured one, empty when the Service has none. */
  readonly address: string;
  /** Those that the client sees. */
  readonly streams: readonly StreamRoute[];
  readonly clusterDomain: string;
}

/** @param name of listener, route table and cluster alike */
export function serviceListener(name: string, view: ListenerView, dialect: Dialect): Listener {
  const { service, port, address } = view;
  const where = { address: address === '' ? '0.0.0.0' : address, port: port.port };
  const listener = outboundListener(name, where, port.protocol, opaqueChains(name, view), dialect);
  const ref = serviceRef(service.namespace, service.name, port.port);
  listener.metadata = { filterMetadata: {}, typedFilterMetadata: { [METADATA.service]: ref } };
  return listener;
}

function opaqueChains(name: string, { port, streams, clusterDomain }: ListenerView): OpaqueChains {
  const filter = (route: StreamRoute): Filter => routeFilter(name, route, port.streamPolicy, clusterDomain);
  const rest = streams.find((route) => route.serverNames === null);
  return {
    tcp: rest === undefined ? tcpFilter(name, port.streamPolicy) : filter(rest),
    serverNames: streams.flatMap((route) =>
      route.serverNames === null ? [] : serverNameChain(route, route.serverNames, filter(route)),
    ),
  };
}

/** One pod by its address. */
export function podListener(
  name: string,
  where: { readonly address: string; readonly port: number },
  protocol: AppProtocol,
  dialect: Dialect,
): Listener {
  const opaque = { tcp: tcpFilter(name, DEFAULT_STREAM_POLICY), serverNames: [] };
  return outboundListener(name, where, protocol, opaque, dialect);
}

/** A host outside: no route of connections can be attached there. */
export function hostListener(
  name: string,
  where: { readonly address: string; readonly port: number },
  protocol: AppProtocol,
  policy: StreamPolicy,
  dialect: Dialect,
): Listener {
  return outboundListener(name, where, protocol, { tcp: tcpFilter(name, policy), serverNames: [] }, dialect);
}

/** A captured listener has its destination as address, but never a socket of its own. */
function outboundListener(
  name: string,
  { address, port }: { readonly address: string; readonly port: number },
  protocol: AppProtocol,
  opaque: OpaqueChains,
  dialect: Dialect,
): Listener {
  const http = connectionManager(name, { $case: 'rds', value: { configSource: ADS, routeConfigName: name } });
  if (dialect === 'grpc') return Listener.fromPartial({ name, apiListener: { apiListener: http } });
  return Listener.fromPartial({
    name,
    address: socketAddress(address, port),
    bindToPort: false,
    trafficDirection: TrafficDirection.OUTBOUND,
    ...chains(protocol, httpFilter(http), opaque),
  });
}

type Chains = Partial<Pick<Listener, 'filterChains' | 'defaultFilterChain' | 'listenerFilters'>>;

function chains(protocol: AppProtocol, http: Filter, { tcp, serverNames }: OpaqueChains): Chains {
  switch (protocol) {
    case 'tcp':
      return { filterChains: [chain('tcp', tcp)] };
    case 'tls':
      // With routes, a handshake that none of them knows finds no chain, and so does what is no handshake.
      return serverNames.length === 0
        ? { filterChains: [chain('tcp', tcp)] }
        : { listenerFilters: [tlsInspector()], filterChains: [...serverNames] };
    case 'unknown':
      return serverNames.length === 0 ? detecting(http, tcp) : detectingTls(http, tcp, serverNames);
    case 'http':
    case 'http2':
    case 'grpc':
      return { filterChains: [chain('http', http)] };
  }
}

/** TLS by its names, and only by them; the rest as ever. */
function detectingTls(http: Filter, tcp: Filter, serverNames: readonly FilterChain[]): Chains {
  const raw = { transportProtocol: 'raw_buffer' };
  return {
    listenerFilters: [tlsInspector(), httpInspector()],
    filterChains: [
      ...serverNames,
      chain('http', http, { ...raw, applicationProtocols: [...HTTP_PROTOCOLS] }),
      chain('tcp', tcp, raw),
    ],
  };
}

/** HTTP where the first bytes say so, opaque otherwise. */
export function detecting(
  http: Filter,
  tcp: Filter,
): Pick<Listener, 'filterChains' | 'defaultFilterChain' | 'listenerFilters'> {
  return {
    listenerFilters: [httpInspector()],
    filterChains: [chain('http', http, { applicationProtocols: [...HTTP_PROTOCOLS] })],
    defaultFilterChain: chain('tcp', tcp),
  };
}

export function chain(
  name: string,
  filter: Filter,
  match: Partial<NonNullable<FilterChain['filterChainMatch']>> | null = null,
): FilterChain {
  const none = { prefixRanges: [], serverNames: [], transportProtocol: '', applicationProtocols: [] };
  return { name, filters: [filter], ...(match !== null && { filterChainMatch: { ...none, ...match } }) };
}

export function connectionManager(statPrefix: string, routeSpecifier: HttpConnectionManager['routeSpecifier']): Any {
  const router: HttpFilter = {
    name: 'envoy.filters.http.router',
    configType: { $case: 'typedConfig', value: pack(EXTENSION.router, Router, {}) },
    isOptional: false,
  };
  const manager = HttpConnectionManager.fromPartial({
    statPrefix,
    routeSpecifier,
    httpFilters: [...IDLE_FILTERS, router],
    upgradeConfigs: [{ upgradeType: 'websocket' }],
  });
  return pack(EXTENSION.httpConnectionManager, HttpConnectionManager, manager);
}

export function httpFilter(manager: Any): Filter {
  return {
    name: 'envoy.filters.network.http_connection_manager',
    configType: { $case: 'typedConfig', value: manager },
  };
}

function listenerFilter(name: string, typedConfig: Any): ListenerFilter {
  return { name, configType: { $case: 'typedConfig', value: typedConfig } };
}

export function httpInspector(): ListenerFilter {
  return listenerFilter('envoy.filters.listener.http_inspector', pack(EXTENSION.httpInspector, HttpInspector, {}));
}

export function tlsInspector(): ListenerFilter {
  return listenerFilter('envoy.filters.listener.tls_inspector', pack(EXTENSION.tlsInspector, TlsInspector, {}));
}

export function originalDst(): ListenerFilter {
  return listenerFilter('envoy.filters.listener.original_dst', pack(EXTENSION.originalDst, OriginalDst, {}));
}
