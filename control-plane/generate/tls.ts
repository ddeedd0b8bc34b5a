/**
 * Transport sockets of the mesh: mutual TLS 1.3 with trust and certificate by SDS.
 * Knows no endpoint; who may be at the other end is told it.
 */
import type { TransportSocket } from '#api/generated/envoy/config/core/v3/core.ts';
import {
  CommonTlsContext,
  DownstreamTlsContext,
  SubjectAltNameMatcher_SanType as SanType,
  TlsParameters_TlsProtocol as Tls,
  UpstreamTlsContext,
} from '#api/generated/envoy/extensions/transport_sockets/tls/v3/tls.ts';
import { RawBuffer } from '#api/generated/envoy/extensions/transport_sockets/raw_buffer/v3/raw_buffer.ts';
import type { Any } from '#api/generated/google/protobuf/any.ts';
import { EXTENSION, OWN_SECRET, TRUST_SECRET } from '#api/names.ts';
import { ADS, pack } from './messages.ts';

/** In order of preference: our own framing of several requests, plain HTTP/1.1. */
const ALPN = ['tulle', 'http/1.1'];

function socket(name: string, typedConfig: Any): TransportSocket {
  return { name, configType: { $case: 'typedConfig', value: typedConfig } };
}

/** @param identities SPIFFE IDs of which the peer must prove one; empty: any of the trust domain */
function common(identities: readonly string[]): CommonTlsContext {
  const version = Tls.TLSv1_3;
  return CommonTlsContext.fromPartial({
    tlsParams: { tlsMinimumProtocolVersion: version, tlsMaximumProtocolVersion: version },
    alpnProtocols: ALPN,
    tlsCertificateSdsSecretConfigs: [{ name: OWN_SECRET, sdsConfig: ADS }],
    validationContextType: {
      $case: 'combinedValidationContext',
      value: {
        defaultValidationContext: {
          matchTypedSubjectAltNames: identities.map((value) => ({
            sanType: SanType.URI,
            matcher: { matchPattern: { $case: 'exact', value } },
          })),
        },
        validationContextSdsSecretConfig: { name: TRUST_SECRET, sdsConfig: ADS },
      },
    },
  });
}

/** @param sni empty where the destination has no name */
export function upstreamTls(identities: readonly string[], sni: string): TransportSocket {
  const context = { commonTlsContext: common(identities), sni };
  return socket('envoy.transport_sockets.tls', pack(EXTENSION.upstreamTls, UpstreamTlsContext, context));
}

/** Any workload of the trust domain may come in: who may do what is not decided by the handshake. */
export function downstreamTls(): TransportSocket {
  const context = { commonTlsContext: common([]), requireClientCertificate: true };
  return socket('envoy.transport_sockets.tls', pack(EXTENSION.downstreamTls, DownstreamTlsContext, context));
}

export function rawBuffer(): TransportSocket {
  return socket('envoy.transport_sockets.raw_buffer', pack(EXTENSION.rawBuffer, RawBuffer, {}));
}
