/**
 * Who calls, from what the connection and the call carry: a bearer token, or a client certificate of this mesh.
 * Runs before any message is read; knows nothing of what is asked for.
 */
import type { Metadata } from '@grpc/grpc-js';
import { X509Certificate } from 'node:crypto';
import { err, ok } from '#base/result.ts';
import type { Result } from '#base/result.ts';
import type { Caller, TokenReviewer } from '../identity/caller.ts';
import { parseWorkloadId } from '../identity/spiffe-id.ts';

export interface Authentication {
  /** The error is for the log; the client learns only that it is not known. */
  identify(metadata: Metadata, peerCertificate: Buffer | null): Promise<Result<Caller, string>>;
}

const BEARER = /^Bearer ([\w.~+/=-]+)$/i;
/** An X509-SVID has exactly one URI SAN (X509-SVID 2); Node writes other kinds of names with a prefix and commas between. */
const ONE_URI = /^URI:(spiffe:\/\/[\w./-]+)$/;

/** A token counts before a certificate: it says more. A bad token is refused even beside a good certificate. */
export function proofOfIdentity(reviewer: TokenReviewer, trustDomain: string): Authentication {
  return {
    identify(metadata, peerCertificate) {
      const [header, ...more] = metadata.get('authorization');
      if (header !== undefined) {
        const token = more.length === 0 ? BEARER.exec(header.toString())?.[1] : undefined;
        return token === undefined ? Promise.resolve(err('authorization is no bearer token')) : reviewer.review(token);
      }
      if (peerCertificate !== null) return Promise.resolve(callerOfCertificate(peerCertificate, trustDomain));
      return Promise.resolve(err('neither token nor client certificate'));
    },
  };
}

/** Everybody is an unnamed client of one namespace: for a listener on loopback that takes plaintext. */
export function anonymousIn(namespace: string): Authentication {
  return { identify: () => Promise.resolve(ok({ namespace, serviceAccount: '', pod: null })) };
}

/** The chain has been verified by TLS; here only the identity is read. */
function callerOfCertificate(certificate: Buffer, trustDomain: string): Result<Caller, string> {
  const id = ONE_URI.exec(new X509Certificate(certificate).subjectAltName ?? '')?.[1];
  const identity = id === undefined ? null : parseWorkloadId(id);
  if (identity === null) return err('client certificate names no workload');
  if (identity.trustDomain !== trustDomain) return err('client certificate is of another trust domain');
  return ok({ namespace: identity.namespace, serviceAccount: identity.serviceAccount, pod: null });
}
