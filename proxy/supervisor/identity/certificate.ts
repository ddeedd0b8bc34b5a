/**
 * Checks what an authority sent: is the leaf ours, for our key, with the identity that we asked for, in force now?
 * Whether the chain leads to a trusted root is decided by those who receive it.
 */
import { X509Certificate, type KeyObject } from 'node:crypto';
import { err, ok, type Result } from '#base/result.ts';
import type { IdentityMaterial } from '../../worker/messages.ts';

const PEM = /-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g;
/** Leaf, issuers and root; longer chains are a mistake. */
const MAX_CHAIN = 10;

/** For people: what a certificate of ours says. */
export interface CertificateSummary {
  readonly subject: string;
  readonly uri: string;
  readonly serial: string;
  readonly notBefore: string;
  readonly notAfter: string;
}

/** The material of an answer, or the reason to refuse it. The root is left out: peers have it. */
export function checkCertificates(
  answer: readonly string[],
  key: KeyObject,
  spiffeId: string,
  wallMs: number,
): Result<IdentityMaterial, string> {
  const chain = readChain(answer);
  if (!chain.ok) return chain;
  const [leaf, ...issuers] = chain.value;
  if (leaf === undefined) return err('the answer holds no certificate');
  if (!leaf.checkPrivateKey(key)) return err('the certificate is for another key than ours');
  if (leaf.subjectAltName !== `URI:${spiffeId}`) {
    return err(`the certificate is for ${leaf.subjectAltName ?? 'no name'}, not for URI:${spiffeId}`);
  }
  if (leaf.validFromDate.getTime() > wallMs) return err(`the certificate is in force only from ${leaf.validFrom}`);
  if (leaf.validToDate.getTime() <= wallMs) return err(`the certificate ended ${leaf.validTo}`);
  return ok({
    spiffeId,
    certChainPem: [leaf, ...issuers.filter((c) => !c.checkIssued(c))].map(String).join(''),
    privateKeyPem: key.export({ type: 'pkcs8', format: 'pem' }),
    notAfterMs: leaf.validToDate.getTime(),
  });
}

function readChain(answer: readonly string[]): Result<readonly X509Certificate[], string> {
  const blocks = answer.join('\n').match(PEM) ?? [];
  if (blocks.length > MAX_CHAIN) return err(`the answer holds more than ${MAX_CHAIN} certificates`);
  try {
    return ok(blocks.map((pem) => new X509Certificate(pem)));
  } catch (error) {
    return err(`a certificate cannot be read: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** What each certificate in a PEM text says. */
export function summarize(pem: string): readonly CertificateSummary[] {
  return (pem.match(PEM) ?? []).map((block) => {
    const certificate = new X509Certificate(block);
    // Ours have no subject, which Node tells as undefined whatever its types say.
    const subject = certificate.subject as string | undefined;
    return {
      subject: (subject ?? '').replaceAll('\n', ', '),
      uri: certificate.subjectAltName ?? '',
      serial: certificate.serialNumber,
      notBefore: certificate.validFromDate.toISOString(),
      notAfter: certificate.validToDate.toISOString(),
    };
  });
}
