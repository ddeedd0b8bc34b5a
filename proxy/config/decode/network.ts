/**
 * The network filter of a chain: an HTTP connection manager or a TCP proxy.
 * Limits and timeouts of HTTP connections are settings of the sidecar, so resources that would set them are refused.
 */
import type { Filter } from '#api/generated/envoy/config/listener/v3/listener.ts';
import {
  HttpConnectionManager,
  HttpConnectionManager_CodecType as CodecType,
  type HttpFilter,
} from '#api/generated/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.ts';
import { Cors } from '#api/generated/envoy/extensions/filters/http/cors/v3/cors.ts';
import { Router } from '#api/generated/envoy/extensions/filters/http/router/v3/router.ts';
import { LocalRateLimit } from '#api/generated/envoy/extensions/filters/http/local_ratelimit/v3/local_rate_limit.ts';
import { TcpProxy } from '#api/generated/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy.ts';
import type { Any } from '#api/generated/google/protobuf/any.ts';
import { EXTENSION } from '#api/names.ts';
import type { Problems } from '#base/problems.ts';
import type { HttpNetworkConfig, TcpNetworkConfig } from '../snapshot.ts';
import { refuseUpgrades } from './action.ts';
import { durationMs } from './duration.ts';
import { readAny, readMessage, shortType } from './message.ts';
import { decodeRouteTable } from './route.ts';
import { checkSource } from './tls.ts';
import { at, refuse } from './unsupported.ts';

/** @param name of the filter chain. Null, and a problem, when it is neither. The fallback of an HTTP chain is the listener's business. */
export function decodeNetwork(
  filters: readonly Filter[],
  name: string,
  path: string,
  problems: Problems,
): HttpNetworkConfig | TcpNetworkConfig | null {
  const any = filters[0]?.configType?.value;
  const where = at(`${path}[0]`, 'typed_config');
  if (filters.length !== 1) problems.add(path, `holds ${filters.length} filters`, 'exactly one is supported');
  const manager = readAny(any, EXTENSION.httpConnectionManager, HttpConnectionManager, where, problems);
  if (manager !== null) return decodeManager(manager, where, problems);
  const proxy = readAny(any, EXTENSION.tcpProxy, TcpProxy, where, problems);
  if (proxy !== null) return decodeProxy(proxy, name, where, problems);
  if (any?.typeUrl !== EXTENSION.httpConnectionManager && any?.typeUrl !== EXTENSION.tcpProxy && filters.length > 0) {
    refuse(problems, where, shortType(any?.typeUrl), 'HttpConnectionManager, TcpProxy');
  }
  return null;
}

/** Envoy's, where a proxy says nothing. */
const DEFAULT_IDLE_MS = 3_600_000;
const DEFAULT_ATTEMPTS = 1;

function decodeProxy(proxy: TcpProxy, name: string, path: string, problems: Problems): TcpNetworkConfig {
  if (proxy.statPrefix === '') problems.add(at(path, 'stat_prefix'), 'must not be empty');
  const connectAttempts = proxy.maxConnectAttempts ?? DEFAULT_ATTEMPTS;
  if (connectAttempts < 1) problems.add(at(path, 'max_connect_attempts'), 'must be at least 1');
  return {
    kind: 'tcp',
    name,
    statPrefix: proxy.statPrefix,
    clusters: decodeClusters(proxy, path, problems),
    idleTimeoutMs: durationMs(proxy.idleTimeout, at(path, 'idle_timeout'), problems, DEFAULT_IDLE_MS),
    connectAttempts,
  };
}

function decodeClusters(proxy: TcpProxy, path: string, problems: Problems): TcpNetworkConfig['clusters'] {
  if (proxy.clusterSpecifier?.$case !== 'weightedClusters') {
    const cluster = proxy.clusterSpecifier?.value ?? '';
    if (cluster === '') problems.add(at(path, 'cluster'), 'must not be empty');
    return [{ cluster, weight: 1 }];
  }
  const where = at(path, 'weighted_clusters.clusters');
  const { clusters } = proxy.clusterSpecifier.value;
  for (const [i, { name }] of clusters.entries())
    if (name === '') problems.add(`${where}[${i}].name`, 'must not be empty');
  if (clusters.every(({ weight }) => weight === 0)) problems.add(where, 'must hold a cluster with a weight');
  return clusters.map(({ name: cluster, weight }) => ({ cluster, weight }));
}

/** `use_remote_address` and `strip_any_host_port` ask for what the sidecar always does. */
function decodeManager(manager: HttpConnectionManager, path: string, problems: Problems): HttpNetworkConfig {
  if (manager.statPrefix === '') problems.add(at(path, 'stat_prefix'), 'must not be empty');
  if (manager.codecType !== CodecType.AUTO && manager.codecType !== CodecType.HTTP1) {
    refuse(problems, at(path, 'codec_type'), `value ${manager.codecType}`, 'AUTO, HTTP1');
  }
  if (manager.requestHeadersTimeout !== undefined) {
    refuse(problems, at(path, 'request_headers_timeout'), 'a timeout per chain', 'the setting head-timeout');
  }
  if (manager.maxRequestHeadersKb !== undefined) {
    refuse(problems, at(path, 'max_request_headers_kb'), 'a limit per chain', 'the setting max-head-bytes');
  }
  if (manager.commonHttpProtocolOptions !== undefined) {
    refuse(problems, at(path, 'common_http_protocol_options'), 'connection options per chain');
  }
  refuseUpgrades(manager.upgradeConfigs, at(path, 'upgrade_configs'), problems);
  checkFilters(manager.httpFilters, at(path, 'http_filters'), problems);
  return {
    kind: 'http',
    statPrefix: manager.statPrefix,
    routes: decodeRoutes(manager.routeSpecifier, path, problems),
    fallback: null,
  };
}

function decodeRoutes(
  specifier: HttpConnectionManager['routeSpecifier'],
  path: string,
  problems: Problems,
): HttpNetworkConfig['routes'] {
  switch (specifier?.$case) {
    case 'rds': {
      const name = specifier.value.routeConfigName;
      if (name === '') problems.add(at(path, 'rds.route_config_name'), 'must not be empty');
      checkSource(specifier.value.configSource, at(path, 'rds.config_source'), problems);
      return name;
    }
    case 'routeConfig':
      return decodeRouteTable(specifier.value, at(path, 'route_config'), problems);
    case undefined:
      problems.add(path, 'no route_specifier set', 'set rds or route_config');
      return '';
  }
}

const IDLE: ReadonlySet<string> = new Set([EXTENSION.fault, EXTENSION.localRateLimit, EXTENSION.statefulSessionFilter]);

/** The router, last and once; unknown filters only when they are optional (Envoy `HttpFilter.is_optional`). */
function checkFilters(filters: readonly HttpFilter[], path: string, problems: Problems): void {
  for (const [i, filter] of filters.entries()) {
    const any = filter.configType?.value;
    const where = `${path}[${i}]`;
    if (any?.typeUrl === EXTENSION.router) {
      readMessage(Router, any.value, `${where}.typed_config`, problems);
      if (i !== filters.length - 1) problems.add(where, 'the router must be the last filter');
    } else if (any?.typeUrl === EXTENSION.cors) {
      readMessage(Cors, any.value, `${where}.typed_config`, problems);
    } else if (any !== undefined && IDLE.has(any.typeUrl)) {
      if (!isIdle(any))
        refuse(problems, `${where}.typed_config`, 'a setting for all routes', 'typed_per_filter_config of a route');
    } else if (!filter.isOptional)
      refuse(
        problems,
        where,
        `filter ${shortType(any?.typeUrl)}`,
        'Cors, HTTPFault, LocalRateLimit, StatefulSession, Router',
      );
  }
  if (filters.at(-1)?.configType?.value.typeUrl !== EXTENSION.router) problems.add(path, 'must end with the router');
}

/** The filter is there for the routes that ask for it, and does nothing by itself. */
function isIdle({ typeUrl, value }: Any): boolean {
  return typeUrl !== EXTENSION.localRateLimit
    ? value.length === 0
    : LocalRateLimit.decode(value).tokenBucket === undefined;
}
