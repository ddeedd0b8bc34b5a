/**
 * TLS that a proxy begins towards a host outside: server name, trust, versions. Knows nothing of the mesh's own mutual TLS.
 */
import type { TransportSocket } from '#api/generated/envoy/config/core/v3/core.ts';
import {
  CertificateValidationContext,
  CommonTlsContext,
  SubjectAltNameMatcher_SanType as SanType,
  TlsParameters_TlsProtocol as Tls,
  UpstreamTlsContext,
} from '#api/generated/envoy/extensions/transport_sockets/tls/v3/tls.ts';
import { EXTENSION } from '#api/names.ts';
import type { Origination } from '../model/external.ts';
import type { AppProtocol } from '../model/protocol.ts';
import type { Dialect } from './client.ts';
import { pack } from './messages.ts';

/** Envoy verifies nothing without a file or bundle: it does not look at `system_root_certs`. Debian, Alpine and most images have this one. */
const SYSTEM_ROOTS_FILE = '/etc/ssl/certs/ca-certificates.crt';

/** @param host that is called; empty where only an address is known */
export function originationTls(
  tls: Origination,
  host: string,
  protocol: AppProtocol,
  dialect: Dialect,
): TransportSocket {
  const sni = tls.sni === '' ? host : tls.sni;
  const commonTlsContext = CommonTlsContext.fromPartial({
    tlsParams: {
      tlsMinimumProtocolVersion: tls.minVersion === '1.3' ? Tls.TLSv1_3 : Tls.TLSv1_2,
      tlsMaximumProtocolVersion: Tls.TLSv1_3,
    },
    alpnProtocols: alpnOf(protocol),
    tlsCertificates: tls.certificate === null ? [] : [certificateOf(tls.certificate)],
    ...(tls.verify && {
      validationContextType: { $case: 'validationContext', value: validation(tls, sni, dialect) },
    }),
  });
  const typedConfig = pack(EXTENSION.upstreamTls, UpstreamTlsContext, { commonTlsContext, sni });
  return { name: 'envoy.transport_sockets.tls', configType: { $case: 'typedConfig', value: typedConfig } };
}

/** HTTP/2 only where it is declared: then it must be agreed upon. Of opaque bytes nothing is said. */
function alpnOf(protocol: AppProtocol): string[] {
  switch (protocol) {
    case 'http2':
    case 'grpc':
      return ['h2'];
    case 'http':
    case 'unknown':
      return ['http/1.1'];
    case 'tcp':
    case 'tls':
      return [];
  }
}

function certificateOf({ certFile, keyFile }: NonNullable<Origination['certificate']>) {
  return {
    certificateChain: { specifier: { $case: 'filename', value: certFile } as const },
    privateKey: { specifier: { $case: 'filename', value: keyFile } as const },
  };
}

function validation(tls: Origination, sni: string, dialect: Dialect): CertificateValidationContext {
  const names = tls.names.length > 0 ? tls.names : sni === '' ? [] : [sni];
  return CertificateValidationContext.fromPartial({
    ...trust(tls, dialect),
    matchTypedSubjectAltNames: names.map((value) => ({
      sanType: SanType.DNS,
      matcher: { matchPattern: { $case: 'exact', value } },
    })),
  });
}

function trust({ caPem, caFile }: Origination, dialect: Dialect): Partial<CertificateValidationContext> {
  if (caPem !== '') return { trustedCa: { specifier: { $case: 'inlineString', value: caPem } } };
  if (caFile !== '') return { trustedCa: { specifier: { $case: 'filename', value: caFile } } };
  return dialect === 'sidecar'
    ? { systemRootCerts: {} }
    : { trustedCa: { specifier: { $case: 'filename', value: SYSTEM_ROOTS_FILE } } };
}
