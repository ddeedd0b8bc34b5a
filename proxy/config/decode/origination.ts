/**
 * TLS towards hosts outside the mesh (`transport_socket` of a cluster): server name, trust, versions. Files are named, not read.
 * The mesh's own mutual TLS stands in `transport_socket_matches` and is tls.ts' business.
 */
import type { DataSource, TransportSocket } from '#api/generated/envoy/config/core/v3/core.ts';
import {
  SubjectAltNameMatcher_SanType as SanType,
  TlsParameters_TlsProtocol as Tls,
  UpstreamTlsContext,
  type CertificateValidationContext,
  type CommonTlsContext,
} from '#api/generated/envoy/extensions/transport_sockets/tls/v3/tls.ts';
import { EXTENSION } from '#api/names.ts';
import type { Problems } from '#base/problems.ts';
import type { OriginationConfig } from '../snapshot.ts';
import { readAny, shortType } from './message.ts';
import { at, refuse } from './unsupported.ts';

const VERSIONS: Readonly<Record<number, OriginationConfig['minVersion']>> = {
  [Tls.TLSv1_2]: 'TLSv1.2',
  [Tls.TLSv1_3]: 'TLSv1.3',
};
const ALPN: readonly string[] = ['h2', 'http/1.1'];

/** Null: plaintext. */
export function decodeOrigination(
  socket: TransportSocket | undefined,
  path: string,
  problems: Problems,
): OriginationConfig | null {
  const any = socket?.configType?.value;
  if (socket === undefined || any?.typeUrl === EXTENSION.rawBuffer) return null;
  const where = at(path, 'typed_config');
  if (any?.typeUrl !== EXTENSION.upstreamTls) {
    refuse(problems, where, shortType(any?.typeUrl), 'UpstreamTlsContext, RawBuffer');
    return null;
  }
  const context = readAny(any, EXTENSION.upstreamTls, UpstreamTlsContext, where, problems);
  if (context === null) return null;
  const { commonTlsContext: common, sni } = context;
  return { sni, ...decodeCommon(common, at(where, 'common_tls_context'), problems) };
}

function decodeCommon(
  common: CommonTlsContext | undefined,
  path: string,
  problems: Problems,
): Omit<OriginationConfig, 'sni'> {
  const alpn = common?.alpnProtocols ?? [];
  for (const [i, protocol] of alpn.entries()) {
    if (!ALPN.includes(protocol)) refuse(problems, at(path, `alpn_protocols[${i}]`), protocol, ALPN.join(', '));
  }
  if ((common?.tlsCertificateSdsSecretConfigs.length ?? 0) > 0) {
    refuse(problems, at(path, 'tls_certificate_sds_secret_configs'), 'a certificate of the mesh', 'tls_certificates');
  }
  return {
    ...decodeVersions(common, path, problems),
    ...decodeValidation(common?.validationContextType, path, problems),
    certificate: decodeCertificate(common, path, problems),
    alpn,
  };
}

function decodeVersions(
  common: CommonTlsContext | undefined,
  path: string,
  problems: Problems,
): Pick<OriginationConfig, 'minVersion' | 'maxVersion'> {
  const version = (name: string, given: Tls | undefined, fallback: OriginationConfig['minVersion']) => {
    if (given === undefined || given === Tls.TLS_AUTO) return fallback;
    const known = VERSIONS[given];
    if (known === undefined) refuse(problems, at(path, `tls_params.${name}`), `value ${given}`, 'TLSv1_2, TLSv1_3');
    return known ?? fallback;
  };
  const params = common?.tlsParams;
  const minVersion = version('tls_minimum_protocol_version', params?.tlsMinimumProtocolVersion, 'TLSv1.2');
  const maxVersion = version('tls_maximum_protocol_version', params?.tlsMaximumProtocolVersion, 'TLSv1.3');
  if (minVersion > maxVersion) problems.add(at(path, 'tls_params'), 'the minimum is above the maximum');
  return { minVersion, maxVersion };
}

/** One pair, as files. */
function decodeCertificate(
  common: CommonTlsContext | undefined,
  path: string,
  problems: Problems,
): OriginationConfig['certificate'] {
  const [pair, ...more] = common?.tlsCertificates ?? [];
  if (pair === undefined) return null;
  const where = at(path, 'tls_certificates');
  if (more.length > 0) refuse(problems, where, 'more than one certificate', 'one');
  const certFile = fileOf(pair.certificateChain);
  const keyFile = fileOf(pair.privateKey);
  if (certFile === null) refuse(problems, `${where}[0].certificate_chain`, 'this source', 'filename');
  if (keyFile === null) refuse(problems, `${where}[0].private_key`, 'this source', 'filename');
  return { certFile: certFile ?? '', keyFile: keyFile ?? '' };
}

function fileOf(source: DataSource | undefined): string | null {
  return source?.specifier?.$case === 'filename' && source.specifier.value !== '' ? source.specifier.value : null;
}

function decodeValidation(
  type: CommonTlsContext['validationContextType'],
  path: string,
  problems: Problems,
): Pick<OriginationConfig, 'verify' | 'caPem' | 'caFile' | 'names'> {
  if (type === undefined) return { verify: false, caPem: null, caFile: null, names: [] };
  const where = at(path, 'validation_context');
  if (type.$case !== 'validationContext') {
    refuse(problems, path, 'trust by SDS for every endpoint', 'validation_context, or transport_socket_matches');
    return { verify: true, caPem: null, caFile: null, names: [] };
  }
  const context = type.value;
  const names = decodeNames(context, where, problems);
  if (context.trustedCa === undefined) {
    if (context.systemRootCerts === undefined)
      problems.add(where, 'trusts nobody', 'set trusted_ca or system_root_certs, or leave validation_context out');
    return { verify: true, caPem: null, caFile: null, names };
  }
  const caFile = fileOf(context.trustedCa);
  const caPem = caFile === null ? inlineText(context.trustedCa) : null;
  if (caFile === null && caPem === null) problems.add(at(where, 'trusted_ca'), 'must hold a file or a text');
  return { verify: true, caPem, caFile, names };
}

function inlineText({ specifier }: DataSource): string | null {
  if (specifier?.$case === 'inlineString') return specifier.value;
  return specifier?.$case === 'inlineBytes' ? Buffer.from(specifier.value).toString('utf8') : null;
}

function decodeNames(context: CertificateValidationContext, path: string, problems: Problems): readonly string[] {
  return context.matchTypedSubjectAltNames.flatMap((san, i) => {
    const pattern = san.matcher?.matchPattern;
    if (san.sanType === SanType.DNS && pattern?.$case === 'exact' && pattern.value !== '') return [pattern.value];
    refuse(problems, at(path, `match_typed_subject_alt_names[${i}]`), 'this matcher', 'san_type DNS with exact');
    return [];
  });
}
