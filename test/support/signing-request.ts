/**
 * Makes PKCS #10 signing requests for tests, good ones and such as nobody should sign.
 */
import { createPublicKey, generateKeyPairSync, sign } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { ECDSA_SHA256, distinguishedName } from '../../control-plane/identity/certificate.ts';
import * as der from '../../control-plane/identity/der.ts';
import { encodePem } from '../../control-plane/identity/pem.ts';

export interface RequestPlan {
  readonly key?: KeyObject;
  /** Signs in place of the key's owner. */
  readonly signer?: KeyObject;
  /** Asked for as URI SAN, as a forger would. */
  readonly uri?: string;
  readonly commonName?: string;
}

export function ecKey(namedCurve = 'P-256'): KeyObject {
  return generateKeyPairSync('ec', { namedCurve }).privateKey;
}

/** What every request of a test asks for, and must not get. */
export const FORGED_ID = 'spiffe://cluster.local/ns/kube-system/sa/admin';

/** The request as DER. */
export function signingRequestDer(plan: RequestPlan = {}): Buffer {
  const key = plan.key ?? ecKey();
  const spki = der.decode(createPublicKey(key).export({ type: 'spki', format: 'der' }));
  if (spki === null) throw new Error('no key');
  const altName = der.sequence(der.implicit(6, Buffer.from(plan.uri ?? FORGED_ID)));
  const extension = der.sequence(der.oid('2.5.29.17'), der.octetString(der.encode(altName)));
  const wishes = der.sequence(der.oid('1.2.840.113549.1.9.14'), der.set(der.sequence(extension)));
  const info = der.sequence(
    der.integer(Buffer.of(0)),
    distinguishedName(plan.commonName ?? '', ''),
    spki,
    der.explicit(0, wishes),
  );
  const signature = sign('sha256', der.encode(info), plan.signer ?? key);
  return der.encode(der.sequence(info, der.sequence(der.oid(ECDSA_SHA256)), der.bitString(signature)));
}

export function signingRequest(plan: RequestPlan = {}): string {
  return encodePem('CERTIFICATE REQUEST', signingRequestDer(plan));
}
