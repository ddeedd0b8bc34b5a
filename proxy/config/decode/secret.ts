/**
 * `Secret` to the trust bundle. Certificates of our own never come this way: the sidecar makes its key and asks for a certificate.
 */
import { X509Certificate } from 'node:crypto';
import { Secret } from '#api/generated/envoy/extensions/transport_sockets/tls/v3/tls.ts';
import { Problems } from '#base/problems.ts';
import { err, ok, type Result } from '#base/result.ts';
import type { TrustConfig } from '../snapshot.ts';
import { readMessage } from './message.ts';
import { at, refuse } from './unsupported.ts';

const PEM = /-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g;
const MAX_ROOTS = 100;

/** The trust bundle, or everything that is wrong with it. */
export function decodeSecret(bytes: Uint8Array): Result<TrustConfig, Problems> {
  const problems = new Problems();
  const message = readMessage(Secret, bytes, '', problems);
  if (message === null) return err(problems);
  const trust = decodeTrust(message, problems);
  return problems.isEmpty ? ok(trust) : err(problems);
}

function decodeTrust(secret: Secret, problems: Problems): TrustConfig {
  if (secret.type?.$case !== 'validationContext') {
    refuse(problems, secret.type === undefined ? 'type' : 'tls_certificate', 'this secret', 'validation_context');
    return { rootsPem: [] };
  }
  const { trustedCa, matchTypedSubjectAltNames } = secret.type.value;
  if (matchTypedSubjectAltNames.length > 0) {
    refuse(problems, 'validation_context.match_typed_subject_alt_names', 'choosing peers in the trust bundle');
  }
  const path = 'validation_context.trusted_ca';
  const specifier = trustedCa?.specifier;
  if (specifier === undefined || specifier.$case === 'filename') {
    refuse(problems, path, 'a trust bundle that is not inline', 'inline_string, inline_bytes');
    return { rootsPem: [] };
  }
  const text = specifier.$case === 'inlineBytes' ? Buffer.from(specifier.value).toString('latin1') : specifier.value;
  return { rootsPem: decodeRoots(text, path, problems) };
}

function decodeRoots(text: string, path: string, problems: Problems): readonly string[] {
  const roots = text.match(PEM) ?? [];
  if (roots.length === 0 || roots.length > MAX_ROOTS)
    problems.add(path, `must hold 1 to ${MAX_ROOTS} PEM certificates`);
  for (const [i, pem] of roots.entries()) {
    const reason = whyNoRoot(pem);
    if (reason !== '') problems.add(at(path, `certificates[${i}]`), reason);
  }
  return roots.map((pem) => `${pem}\n`);
}

/** Empty when `pem` is an authority's certificate. */
function whyNoRoot(pem: string): string {
  try {
    return new X509Certificate(pem).ca ? '' : 'is no certificate of an authority';
  } catch (error) {
    return `cannot be read: ${error instanceof Error ? error.message : String(error)}`;
  }
}
