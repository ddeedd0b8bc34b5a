/**
 * Asks the authority for a certificate: istio.v1.auth.IstioCertificateService/CreateCertificate, once, with a deadline.
 * Checks nothing of the answer and holds no connection between calls, which are hours apart.
 */
import { IstioCertificateRequest, IstioCertificateResponse } from '#api/generated/istio/v1/auth/ca.ts';
import type { Clock } from '#base/clock.ts';
import { readAccess, type ControlPlaneAddress, type ReadFile } from '../rpc/access.ts';
import { Call } from '../rpc/call.ts';

const PATH = '/istio.v1.auth.IstioCertificateService/CreateCertificate';
const CALL_DEADLINE_MS = 10_000;

/** PEM certificates for a signing request, leaf first. Rejects when the authority cannot be reached or refuses. */
export type SignRequest = (requestPem: string) => Promise<readonly string[]>;

/** @param lifeMs wished life of the certificate; the authority may shorten it. */
export function authorityClient(
  controlPlane: ControlPlaneAddress,
  lifeMs: number,
  clock: Clock,
  readFile: ReadFile,
): SignRequest {
  return async (requestPem) => {
    const access = await readAccess(controlPlane, readFile, clock);
    const request = IstioCertificateRequest.fromPartial({
      csr: requestPem,
      validityDuration: BigInt(Math.ceil(lifeMs / 1000)),
    });
    const answer = Promise.withResolvers<Buffer>();
    const call = new Call(
      access,
      PATH,
      {
        onUp: () => undefined,
        onMessage: (message) => answer.resolve(message),
        onOver: (failure) => answer.reject(new Error(failure === '' ? 'an end without an answer' : failure)),
      },
      clock,
    );
    const deadline = clock.after(CALL_DEADLINE_MS, () => answer.reject(new Error('no answer in time')));
    call.send(IstioCertificateRequest.encode(request).finish());
    call.end();
    try {
      return IstioCertificateResponse.decode(await answer.promise).certChain;
    } finally {
      deadline.cancel();
      call.cancel();
    }
  };
}
