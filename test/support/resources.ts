/** Encoded xDS resources made readable: packed extensions unpacked, defaults left out. */
import { Cluster } from '#api/generated/envoy/config/cluster/v3/cluster.ts';
import { ClusterLoadAssignment } from '#api/generated/envoy/config/endpoint/v3/endpoint.ts';
import { Listener } from '#api/generated/envoy/config/listener/v3/listener.ts';
import { RouteConfiguration } from '#api/generated/envoy/config/route/v3/route.ts';
import { HttpConnectionManager } from '#api/generated/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.ts';
import { TcpProxy } from '#api/generated/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy.ts';
import {
  DownstreamTlsContext,
  Secret,
  UpstreamTlsContext,
} from '#api/generated/envoy/extensions/transport_sockets/tls/v3/tls.ts';
import {
  OutboundPolicy,
  PeakEwma,
  RetryBudget,
  RetryOptions,
  ServiceRef,
  WorkloadRef,
} from '#api/generated/tulle/config/v1/config.ts';
import { EXTENSION, TYPE } from '#api/names.ts';

const CODECS: Readonly<Record<string, { decode(bytes: Uint8Array): object }>> = {
  [TYPE.listener]: Listener,
  [TYPE.route]: RouteConfiguration,
  [TYPE.cluster]: Cluster,
  [TYPE.endpoints]: ClusterLoadAssignment,
  [TYPE.secret]: Secret,
  [EXTENSION.httpConnectionManager]: HttpConnectionManager,
  [EXTENSION.tcpProxy]: TcpProxy,
  [EXTENSION.upstreamTls]: UpstreamTlsContext,
  [EXTENSION.downstreamTls]: DownstreamTlsContext,
  [EXTENSION.peakEwma]: PeakEwma,
  [EXTENSION.retryOptions]: RetryOptions,
  [EXTENSION.retryBudget]: RetryBudget,
  [EXTENSION.outboundPolicy]: OutboundPolicy,
  [EXTENSION.serviceRef]: ServiceRef,
  [EXTENSION.workloadRef]: WorkloadRef,
};

/** Extensions without a codec here (they have no fields) become their bare type. */
export function readable(typeUrl: string, bytes: Uint8Array): unknown {
  const codec = CODECS[typeUrl];
  return codec === undefined ? {} : plain(codec.decode(bytes));
}

function plain(value: unknown): unknown {
  if (typeof value === 'bigint') return Number(value);
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== 'object' || value === null) return value;
  const { typeUrl, value: bytes } = value as { readonly typeUrl?: unknown; readonly value?: unknown };
  if (typeof typeUrl === 'string' && bytes instanceof Uint8Array) {
    return { '@': typeUrl.slice(typeUrl.lastIndexOf('.') + 1), ...(readable(typeUrl, bytes) as object) };
  }
  if ('$case' in value && 'value' in value) return { [String(value.$case)]: plain(value.value) };
  const entries = Object.entries(value).filter(([key, inner]) => key !== '_unknownFields' && !isDefault(inner));
  return Object.fromEntries(entries.map(([key, inner]) => [key, plain(inner)]));
}

function isDefault(value: unknown): boolean {
  if (value === undefined || value === '' || value === 0 || value === false || value === 0n) return true;
  return Array.isArray(value) && value.length === 0;
}
