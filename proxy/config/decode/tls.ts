/**
 * Transport sockets: mutual TLS 1.3 with certificates and trust by SDS, or plain. The same rules for both directions.
 * Knows no certificate: identities and roots come as other resources.
 */
import type { ConfigSource, TransportSocket } from '#api/generated/envoy/config/core/v3/core.ts';
import {
  DownstreamTlsContext,
  SubjectAltNameMatcher_SanType,
  TlsParameters_TlsProtocol as Tls,
  UpstreamTlsContext,
  type CertificateValidationContext,
  type CommonTlsContext,
  type SdsSecretConfig,
} from '#api/generated/envoy/extensions/transport_sockets/tls/v3/tls.ts';
import { EXTENSION, OWN_SECRET, TRUST_SECRET } from '#api/names.ts';
import type { Problems } from '#base/problems.ts';
import { readAny, shortType } from './message.ts';
import { at, refuse } from './unsupported.ts';

const ALPN: readonly string[] = ['tulle', 'h2', 'http/1.1'];

/** What a transport socket asks for. */
export interface TransportConfig {
  readonly mtls: boolean;
  /** SPIFFE IDs of which the peer must prove one; empty: any of the trust domain. */
  readonly peerIdentities: readonly string[];
}

const PLAIN: TransportConfig = { mtls: false, peerIdentities: [] };

/** The socket of a filter chain: absent and raw buffer mean plain. */
export function decodeDownstream(
  socket: TransportSocket | undefined,
  path: string,
  problems: Problems,
): TransportConfig {
  const any = socket?.configType?.value;
  if (socket === undefined || any?.typeUrl === EXTENSION.rawBuffer) return PLAIN;
  const where = at(path, 'typed_config');
  if (any?.typeUrl !== EXTENSION.downstreamTls) {
    refuse(problems, where, shortType(any?.typeUrl), 'DownstreamTlsContext, RawBuffer');
    return PLAIN;
  }
  const context = readAny(any, EXTENSION.downstreamTls, DownstreamTlsContext, where, problems);
  if (context === null) return PLAIN;
  if (context.requireClientCertificate !== true) {
    refuse(problems, at(where, 'require_client_certificate'), 'TLS without client certificate', 'true');
  }
  const peerIdentities = decodeCommon(context.commonTlsContext, at(where, 'common_tls_context'), problems);
  if (peerIdentities.length > 0) {
    refuse(problems, at(where, 'common_tls_context'), 'choosing clients by match_typed_subject_alt_names');
  }
  return { mtls: true, peerIdentities };
}

/** The socket of a cluster. The server name follows from the cluster's name, so `sni` needs no look. */
export function decodeUpstream(socket: TransportSocket | undefined, path: string, problems: Problems): TransportConfig {
  const any = socket?.configType?.value;
  if (socket === undefined || any?.typeUrl === EXTENSION.rawBuffer) return PLAIN;
  const where = at(path, 'typed_config');
  if (any?.typeUrl !== EXTENSION.upstreamTls) {
    refuse(problems, where, shortType(any?.typeUrl), 'UpstreamTlsContext, RawBuffer');
    return PLAIN;
  }
  const context = readAny(any, EXTENSION.upstreamTls, UpstreamTlsContext, where, problems);
  if (context === null) return PLAIN;
  const peerIdentities = decodeCommon(context.commonTlsContext, at(where, 'common_tls_context'), problems);
  return { mtls: true, peerIdentities };
}

/** Only what configures the mesh's own mTLS is let through; the rest would be weaker or other than what we do. */
function decodeCommon(common: CommonTlsContext | undefined, path: string, problems: Problems): readonly string[] {
  if (common === undefined) {
    problems.add(path, 'must be set');
    return [];
  }
  const { tlsParams } = common;
  for (const [name, version] of [
    ['tls_minimum_protocol_version', tlsParams?.tlsMinimumProtocolVersion ?? Tls.TLS_AUTO],
    ['tls_maximum_protocol_version', tlsParams?.tlsMaximumProtocolVersion ?? Tls.TLS_AUTO],
  ] as const) {
    if (version !== Tls.TLS_AUTO && version !== Tls.TLSv1_3)
      refuse(problems, at(path, `tls_params.${name}`), 'a version other than TLSv1_3');
  }
  for (const [i, protocol] of common.alpnProtocols.entries()) {
    if (!ALPN.includes(protocol)) refuse(problems, at(path, `alpn_protocols[${i}]`), protocol, ALPN.join(', '));
  }
  for (const [i, sds] of common.tlsCertificateSdsSecretConfigs.entries()) {
    checkSecret(sds, OWN_SECRET, at(path, `tls_certificate_sds_secret_configs[${i}]`), problems);
  }
  return decodeValidation(common.validationContextType, path, problems);
}

function decodeValidation(
  validation: CommonTlsContext['validationContextType'],
  path: string,
  problems: Problems,
): readonly string[] {
  switch (validation?.$case) {
    case 'validationContextSdsSecretConfig':
      checkSecret(validation.value, TRUST_SECRET, at(path, 'validation_context_sds_secret_config'), problems);
      return [];
    case 'combinedValidationContext': {
      const where = at(path, 'combined_validation_context');
      const { validationContextSdsSecretConfig: sds, defaultValidationContext: context } = validation.value;
      checkSecret(sds, TRUST_SECRET, at(where, 'validation_context_sds_secret_config'), problems);
      return decodeIdentities(context, at(where, 'default_validation_context'), problems);
    }
    case 'validationContext':
      refuse(problems, at(path, 'validation_context'), 'a fixed trust bundle', `SDS ${TRUST_SECRET}`);
      return [];
    case undefined:
      problems.add(path, 'no validation_context_type set', `set one with SDS ${TRUST_SECRET}`);
      return [];
  }
}

function decodeIdentities(
  context: CertificateValidationContext | undefined,
  path: string,
  problems: Problems,
): readonly string[] {
  if (context?.trustedCa !== undefined)
    refuse(problems, at(path, 'trusted_ca'), 'a fixed trust bundle', `SDS ${TRUST_SECRET}`);
  return (context?.matchTypedSubjectAltNames ?? []).map((san, i) => {
    const pattern = san.matcher?.matchPattern;
    if (san.sanType === SubjectAltNameMatcher_SanType.URI && pattern?.$case === 'exact' && pattern.value !== '') {
      return pattern.value;
    }
    refuse(problems, at(path, `match_typed_subject_alt_names[${i}]`), 'this matcher', 'san_type URI with exact');
    return '';
  });
}

function checkSecret(sds: SdsSecretConfig | undefined, name: string, path: string, problems: Problems): void {
  if (sds?.name !== name) refuse(problems, at(path, 'name'), `secret ${JSON.stringify(sds?.name ?? '')}`, name);
  checkSource(sds?.sdsConfig, at(path, 'sds_config'), problems);
}

/** Everything comes over the one ADS stream. */
export function checkSource(source: ConfigSource | undefined, path: string, problems: Problems): void {
  if (source?.configSourceSpecifier?.$case !== 'ads') problems.add(path, 'only ads is supported', 'set ads');
}
