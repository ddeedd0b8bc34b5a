/**
 * X.509 version 3 certificates (RFC 5280), signed with ECDSA P-256 and SHA-256.
 * Knows how a certificate is written; what goes into one is the authority's decision.
 */
import { createHash, createPublicKey, randomBytes, sign } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import * as der from './der.ts';

export const ECDSA_SHA256 = '1.2.840.10045.4.3.2';

const OID = {
  commonName: '2.5.4.3',
  organization: '2.5.4.10',
  subjectKeyId: '2.5.29.14',
  keyUsage: '2.5.29.15',
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  authorityKeyId: '2.5.29.35',
  extendedKeyUsage: '2.5.29.37',
  serverAuth: '1.3.6.1.5.5.7.3.1',
  clientAuth: '1.3.6.1.5.5.7.3.2',
} as const;

/** Tags of GeneralName (RFC 5280 4.2.1.6). */
const GENERAL_NAME = { dns: 2, uri: 6, ip: 7 } as const;

export interface AltNames {
  readonly uris: readonly string[];
  readonly dnsNames: readonly string[];
  /** IP addresses in their usual text form. */
  readonly addresses: readonly string[];
}

/** What the certificate is for: signing others (with how many levels below), or proving an identity on a connection. */
export type Purpose = { readonly kind: 'authority'; readonly pathLength: number } | { readonly kind: 'leaf' };

export interface CertificatePlan {
  /** Empty: an empty subject; the alternative name then is critical. */
  readonly commonName: string;
  readonly organization: string;
  readonly altNames: AltNames;
  readonly purpose: Purpose;
  /** Wall time in milliseconds; written in whole seconds. */
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  readonly publicKey: KeyObject;
}

/** Who signs. `name` is the DER of its subject; for a self-signed root its own. */
export interface CertificateSigner {
  readonly name: der.Der;
  readonly key: KeyObject;
}

/** The DER of a subject or issuer name with the two attributes that are used here. */
export function distinguishedName(commonName: string, organization: string): der.Der {
  const attributes: der.Der[] = [];
  for (const [type, value] of [
    [OID.organization, organization],
    [OID.commonName, commonName],
  ] as const) {
    if (value !== '') attributes.push(der.set(der.sequence(der.oid(type), der.utf8(value))));
  }
  return der.sequence(...attributes);
}

/** The subject of a certificate, as it must stand as issuer in those below it. */
export function subjectOf(certificate: Buffer): der.Der {
  const tbs = der.sequenceOf(der.sequenceOf(der.decode(certificate) ?? undefined)[0]);
  const subject = tbs[5];
  if (subject === undefined) throw new Error('certificate without subject');
  return subject;
}

/** Writes and signs a certificate; the result is DER. */
export function signCertificate(plan: CertificatePlan, signer: CertificateSigner): Buffer {
  const algorithm = der.sequence(der.oid(ECDSA_SHA256));
  const tbs = der.sequence(
    der.explicit(0, der.integer(Buffer.of(2))),
    der.integer(randomSerial()),
    algorithm,
    signer.name,
    der.sequence(der.time(plan.notBeforeMs), der.time(plan.notAfterMs)),
    distinguishedName(plan.commonName, plan.organization),
    publicKeyInfo(plan.publicKey),
    der.explicit(3, der.sequence(...extensions(plan, signer))),
  );
  const signature = sign('sha256', der.encode(tbs), signer.key);
  return der.encode(der.sequence(tbs, algorithm, der.bitString(signature)));
}

/** 128 bits, positive and always 16 bytes long (RFC 5280 4.1.2.2 allows 20); 126 of them random. */
function randomSerial(): Buffer {
  const serial = randomBytes(16);
  serial[0] = ((serial[0] ?? 0) & 0x3f) | 0x40;
  return serial;
}

function publicKeyInfo(key: KeyObject): der.Der {
  const node = der.decode(key.export({ type: 'spki', format: 'der' }));
  if (node === null) throw new Error('public key is not DER');
  return node;
}

function extensions(plan: CertificatePlan, signer: CertificateSigner): der.Der[] {
  const isAuthority = plan.purpose.kind === 'authority';
  const list = [
    extension(OID.basicConstraints, true, basicConstraints(plan.purpose)),
    // keyCertSign and cRLSign are bits 5 and 6, digitalSignature is bit 0.
    extension(OID.keyUsage, true, isAuthority ? der.bitString(Buffer.of(0x06), 1) : der.bitString(Buffer.of(0x80), 7)),
    extension(OID.subjectKeyId, false, der.octetString(keyId(plan.publicKey))),
    extension(OID.authorityKeyId, false, der.sequence(der.implicit(0, keyId(createPublicKey(signer.key))))),
  ];
  if (!isAuthority) {
    list.push(extension(OID.extendedKeyUsage, false, der.sequence(der.oid(OID.serverAuth), der.oid(OID.clientAuth))));
  }
  const names = generalNames(plan.altNames);
  if (names.length > 0) {
    const subjectIsEmpty = plan.commonName === '' && plan.organization === '';
    list.push(extension(OID.subjectAltName, subjectIsEmpty, der.sequence(...names)));
  }
  return list;
}

function extension(id: string, critical: boolean, value: der.Der): der.Der {
  const content = der.octetString(der.encode(value));
  return critical ? der.sequence(der.oid(id), der.boolean(true), content) : der.sequence(der.oid(id), content);
}

function basicConstraints(purpose: Purpose): der.Der {
  if (purpose.kind === 'leaf') return der.sequence();
  return der.sequence(der.boolean(true), der.integer(Buffer.of(purpose.pathLength)));
}

function generalNames(names: AltNames): der.Der[] {
  return [
    ...names.uris.map((uri) => der.implicit(GENERAL_NAME.uri, Buffer.from(uri, 'latin1'))),
    ...names.dnsNames.map((name) => der.implicit(GENERAL_NAME.dns, Buffer.from(name, 'latin1'))),
    ...names.addresses.map((address) => der.implicit(GENERAL_NAME.ip, addressBytes(address))),
  ];
}

/** RFC 7093, method 1: the leftmost 160 bits of the SHA-256 of the key's bits. */
function keyId(key: KeyObject): Buffer {
  const bits = der.contentOf(der.sequenceOf(publicKeyInfo(key))[1], der.TAG.bitString);
  if (bits === null) throw new Error('public key without bits');
  return createHash('sha256').update(bits.subarray(1)).digest().subarray(0, 20);
}

/** Network byte order: 4 bytes or 16. */
function addressBytes(address: string): Buffer {
  if (!address.includes(':')) return Buffer.from(address.split('.').map(Number));
  const [head = '', tail = ''] = address.split('::');
  const front = addressGroups(head);
  const back = addressGroups(tail);
  const gap = Array.from({ length: 8 - front.length - back.length }, () => 0);
  return Buffer.from([...front, ...gap, ...back].flatMap((group) => [group >> 8, group & 0xff]));
}

function addressGroups(text: string): number[] {
  return text === '' ? [] : text.split(':').map((group) => Number.parseInt(group, 16));
}
