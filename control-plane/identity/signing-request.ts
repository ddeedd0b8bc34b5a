/**
 * PKCS #10 signing requests (RFC 2986): proof that the caller holds the private key of a public key, and nothing more.
 * Names and extensions that a request asks for are deliberately not read: who the caller is comes from its token.
 */
import { createPublicKey, verify } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { err, ok } from '#base/result.ts';
import type { Result } from '#base/result.ts';
import { ECDSA_SHA256 } from './certificate.ts';
import * as der from './der.ts';
import { decodePem } from './pem.ts';

/** A P-256 request has some 300 bytes; this leaves room for what clients like to add. */
export const MAX_REQUEST_BYTES = 16_384;

/** The public key whose owner signed the request, or the reason to refuse it. */
export function readSigningRequest(pem: string): Result<KeyObject, string> {
  if (pem.length > MAX_REQUEST_BYTES) return err(`signing request is longer than ${MAX_REQUEST_BYTES} bytes`);
  const blocks = decodePem(pem, 'CERTIFICATE REQUEST');
  if (!blocks.ok) return blocks;
  const [block, ...more] = blocks.value;
  if (block === undefined || more.length > 0) return err('expected exactly one signing request');
  return readRequestDer(block);
}

function readRequestDer(bytes: Buffer): Result<KeyObject, string> {
  const root = der.decode(bytes);
  if (root === null) return err('signing request is not DER');
  const [info, algorithm, signature, ...more] = der.sequenceOf(root);
  const [version, , keyInfo] = der.sequenceOf(info);
  const signatureBits = der.contentOf(signature, der.TAG.bitString);
  if (info === undefined || keyInfo === undefined || signatureBits === null || more.length > 0) {
    return err('signing request does not have the form of PKCS #10');
  }
  if (der.contentOf(version, der.TAG.integer)?.equals(Buffer.of(0)) !== true)
    return err('signing request is not of version 1');
  if (der.oidOf(der.sequenceOf(algorithm)[0]) !== ECDSA_SHA256) return err('signature is not ECDSA with SHA-256');
  const key = readKey(der.encode(keyInfo));
  if (!key.ok) return key;
  // The first content byte of a BIT STRING counts unused bits; a signature is whole bytes.
  if (signatureBits[0] !== 0 || !verify('sha256', der.encode(info), key.value, signatureBits.subarray(1))) {
    return err('signature does not verify');
  }
  return key;
}

function readKey(spki: Buffer): Result<KeyObject, string> {
  try {
    const key = createPublicKey({ key: spki, format: 'der', type: 'spki' });
    if (key.asymmetricKeyType !== 'ec' || key.asymmetricKeyDetails?.namedCurve !== 'prime256v1') {
      return err('key is not ECDSA P-256');
    }
    return ok(key);
  } catch {
    return err('public key cannot be read');
  }
}
