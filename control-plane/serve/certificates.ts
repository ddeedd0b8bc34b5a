/**
 * `istio.v1.auth.IstioCertificateService/CreateCertificate`: a signing request in, a chain out.
 * The identity comes from the caller's proof; whatever names the request holds are not read.
 */
import { IstioCertificateRequest, IstioCertificateResponse } from '#api/generated/istio/v1/auth/ca.ts';
import { err, ok } from '#base/result.ts';
import type { Result } from '#base/result.ts';
import type { Authority } from '../identity/authority.ts';
import type { Caller } from '../identity/caller.ts';
import { workloadId } from '../identity/spiffe-id.ts';

const MAX_WISH_S = 1_000_000_000;

/** The response in bytes, or the reason to refuse the request. */
export function createCertificate(authority: Authority, caller: Caller, bytes: Buffer): Result<Buffer, string> {
  if (caller.serviceAccount === '') return err('an anonymous caller has no identity');
  const request = readRequest(bytes);
  if (request === null) return err('the message is no certificate request');
  const identity = workloadId({ ...caller, trustDomain: authority.trustDomain });
  const wishS = request.validityDuration > MAX_WISH_S ? MAX_WISH_S : Number(request.validityDuration);
  const issued = authority.issueWorkload(request.csr, identity, wishS * 1000);
  if (!issued.ok) return issued;
  return ok(Buffer.from(IstioCertificateResponse.encode({ certChain: [...issued.value.chain] }).finish()));
}

function readRequest(bytes: Buffer): IstioCertificateRequest | null {
  try {
    return IstioCertificateRequest.decode(bytes);
  } catch {
    return null;
  }
}
