/**
 * Asks the authority for a certificate: istio.v1.auth.IstioCertificateService/CreateCertificate, once, with a deadline.
 * Checks nothing of the answer and holds no connection between calls, which are hours apart.
 */
import {
  IstioCertificateRequest,
  IstioCertificateServiceClient,
  type IstioCertificateResponse,
} from '#api/generated/istio/v1/auth/ca.ts';
import type { Clock } from '#base/clock.ts';
import { openChannel, type ControlPlaneAddress, type ReadFile } from '../xds/channel.ts';

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
    const { target, credentials, options, metadata } = await openChannel(controlPlane, readFile);
    const client = new IstioCertificateServiceClient(target, credentials, options);
    const request = IstioCertificateRequest.fromPartial({
      csr: requestPem,
      validityDuration: BigInt(Math.ceil(lifeMs / 1000)),
    });
    try {
      return await new Promise((resolve, reject) => {
        const deadline = clock.wall() + CALL_DEADLINE_MS;
        client.createCertificate(request, metadata, { deadline }, (error, response: IstioCertificateResponse) =>
          error === null ? resolve(response.certChain) : reject(error),
        );
      });
    } finally {
      client.close();
    }
  };
}
