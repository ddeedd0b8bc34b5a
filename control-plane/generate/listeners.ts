/**
 * Outbound listeners: what a connection to one destination is. HTTP with a route table, opaque bytes to a cluster, or to be
 * detected: HTTP, and opaque otherwise. Knows no route and no endpoint.
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
import { TcpProxy } from '#api/generated/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy.ts';
import { Router } from '#api/generated/envoy/extensions/filters/http/router/v3/router.ts';
import type { Any } from '#api/generated/google/protobuf/any.ts';
import { EXTENSION, METADATA } from '#api/names.ts';
import type { AppProtocol, MeshService, ServicePort } from '../model/mesh.ts';
import type { Dialect } from './client.ts';
import { ADS, pack, serviceRef, socketAddress } from './messages.ts';

/** What the HTTP inspector says of connections that begin like HTTP. */
export const HTTP_PROTOCOLS: readonly string[] = ['http/1.0', 'http/1.1', 'h2c'];

/** @param name of listener, route table and cluster alike; @param address the captured one, empty when the Service has none */
export function serviceListener(
  name: string,
  service: MeshService,
  port: ServicePort,
  address: string,
  dialect: Dialect,
): Listener {
  const listener = outboundListener(name, address === '' ? '0.0.0.0' : address, port.port, port.protocol, dialect);
  const ref = serviceRef(service.namespace, service.name, port.port);
  listener.metadata = { filterMetadata: {}, typedFilterMetadata: { [METADATA.service]: ref } };
  return listener;
}

/** A captured listener has its destination as address, but never a socket of its own. */
export function outboundListener(
  name: string,
  address: string,
  port: number,
  protocol: AppProtocol,
  dialect: Dialect,
): Listener {
  const http = connectionManager(name, { $case: 'rds', value: { configSource: ADS, routeConfigName: name } });
  if (dialect === 'grpc') return Listener.fromPartial({ name, apiListener: { apiListener: http } });
  return Listener.fromPartial({
    name,
    address: socketAddress(address, port),
    bindToPort: false,
    trafficDirection: TrafficDirection.OUTBOUND,
    ...chains(protocol, httpFilter(http), tcpFilter(name)),
  });
}

function chains(
  protocol: AppProtocol,
  http: Filter,
  tcp: Filter,
): Partial<Pick<Listener, 'filterChains' | 'defaultFilterChain' | 'listenerFilters'>> {
  switch (protocol) {
    case 'tcp':
    case 'tls':
      return { filterChains: [chain('tcp', tcp)] };
    case 'unknown':
      return detecting(http, tcp);
    case 'http':
    case 'http2':
    case 'grpc':
      return { filterChains: [chain('http', http)] };
  }
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
    httpFilters: [router],
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

export function tcpFilter(cluster: string): Filter {
  const proxy = { statPrefix: cluster, clusterSpecifier: { $case: 'cluster', value: cluster } as const };
  const typedConfig = pack(EXTENSION.tcpProxy, TcpProxy, proxy);
  return { name: 'envoy.filters.network.tcp_proxy', configType: { $case: 'typedConfig', value: typedConfig } };
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
