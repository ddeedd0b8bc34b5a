/**
 * xDS messages for tests, short to write: partial messages to bytes, `Any`, the usual fragments.
 * Knows no expectation.
 */
import { Listener } from '#api/generated/envoy/config/listener/v3/listener.ts';
import { Router } from '#api/generated/envoy/extensions/filters/http/router/v3/router.ts';
import { HttpConnectionManager } from '#api/generated/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.ts';
import { TcpProxy } from '#api/generated/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy.ts';
import { TlsParameters_TlsProtocol } from '#api/generated/envoy/extensions/transport_sockets/tls/v3/tls.ts';
import type { Any } from '#api/generated/google/protobuf/any.ts';
import { EXTENSION } from '#api/names.ts';
import { formatProblem, type Problems } from '#base/problems.ts';
import type { Result } from '#base/result.ts';

interface Encoder<T> {
  encode(message: T): { finish(): Uint8Array };
  fromPartial(partial: object): T;
}

export function bytes<T>(codec: Encoder<T>, partial: object): Buffer {
  return Buffer.from(codec.encode(codec.fromPartial(partial)).finish());
}

export function any<T>(typeUrl: string, codec: Encoder<T>, partial: object): Any {
  return { typeUrl, value: bytes(codec, partial) };
}

/** The value, or the problems as lines. */
export function outcome<T>(result: Result<T, Problems>): T | readonly string[] {
  return result.ok ? result.value : result.error.list.map(formatProblem);
}

export const ADS = { configSourceSpecifier: { $case: 'ads', value: {} } };

export function seconds(n: number): object {
  return { seconds: BigInt(n), nanos: 0 };
}

export function typed(value: Any): object {
  return { $case: 'typedConfig', value };
}

export function socket(address: string, port: number): object {
  const value = { address, portSpecifier: { $case: 'portValue', value: port } };
  return { address: { $case: 'socketAddress', value } };
}

export const COMMON_TLS = {
  tlsParams: { tlsMinimumProtocolVersion: TlsParameters_TlsProtocol.TLSv1_3 },
  alpnProtocols: ['tulle', 'http/1.1'],
  tlsCertificateSdsSecretConfigs: [{ name: 'default', sdsConfig: ADS }],
  validationContextType: {
    $case: 'combinedValidationContext',
    value: {
      defaultValidationContext: {},
      validationContextSdsSecretConfig: { name: 'ROOTCA', sdsConfig: ADS },
    },
  },
};

/** A connection manager that takes its routes from `reviews:80`. */
export function manager(extra: object = {}): Any {
  return any(EXTENSION.httpConnectionManager, HttpConnectionManager, {
    statPrefix: 'reviews',
    routeSpecifier: { $case: 'rds', value: { routeConfigName: 'reviews:80', configSource: ADS } },
    httpFilters: [{ name: 'router', configType: typed(any(EXTENSION.router, Router, {})) }],
    ...extra,
  });
}

export function tcp(cluster: string): Any {
  return any(EXTENSION.tcpProxy, TcpProxy, {
    statPrefix: 'tcp',
    clusterSpecifier: { $case: 'cluster', value: cluster },
  });
}

export function filters(config: Any): object {
  return [{ name: 'network', configType: typed(config) }];
}

/** A listener whose routes are a table of the given name. */
export function httpListener(name: string, routes: string): Buffer {
  const routeSpecifier = { $case: 'rds', value: { routeConfigName: routes, configSource: ADS } };
  return bytes(Listener, { name, filterChains: [{ name: 'http', filters: filters(manager({ routeSpecifier })) }] });
}
