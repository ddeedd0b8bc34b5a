/**
 * A PKCS #10 signing request (RFC 2986) for a key of ours: empty subject, the SPIFFE ID as URI in the wished subjectAltName.
 * Our own authority takes the identity from the token and reads only the key; cert-manager's istio-csr compares the name too.
 */
import { createPublicKey, sign, type KeyObject } from 'node:crypto';
import asn1, { type Asn1 } from 'node-forge/lib/asn1.js';

/** ASN.1 tag classes and universal tags (X.680 8.6). */
const UNIVERSAL = 0x00;
const CONTEXT = 0x80;
const BOOLEAN = 1;
const INTEGER = 2;
const BIT_STRING = 3;
const OCTET_STRING = 4;
const OID = 6;
const SEQUENCE = 16;
const SET = 17;
/** GeneralName `uniformResourceIdentifier` (RFC 5280 4.2.1.6). */
const URI_NAME = 6;

const EXTENSION_REQUEST = '1.2.840.113549.1.9.14';
const SUBJECT_ALT_NAME = '2.5.29.17';
const ECDSA_SHA256 = '1.2.840.10045.4.3.2';

/** PEM of a request for `spiffeId`, signed with `key` (ECDSA P-256). */
export function createSigningRequest(key: KeyObject, spiffeId: string): string {
  const spki = createPublicKey(key).export({ type: 'spki', format: 'der' });
  const info = sequence([
    primitive(INTEGER, '\0'),
    sequence([]),
    asn1.fromDer(spki.toString('latin1'), { strict: true, parseAllBytes: true, decodeBitStrings: false }),
    asn1.create(CONTEXT, 0, true, [attribute(EXTENSION_REQUEST, sequence([alternativeName(spiffeId)]))]),
  ]);
  const signature = sign('sha256', encode(info), key);
  const request = sequence([
    info,
    sequence([oid(ECDSA_SHA256)]),
    // The leading byte says how many bits of the last byte are unused.
    primitive(BIT_STRING, `\0${signature.toString('latin1')}`),
  ]);
  return toPem('CERTIFICATE REQUEST', encode(request));
}

/** Critical, because the subject is empty (RFC 5280 4.2.1.6). */
function alternativeName(spiffeId: string): Asn1 {
  const names = sequence([asn1.create(CONTEXT, URI_NAME, false, spiffeId)]);
  return sequence([
    oid(SUBJECT_ALT_NAME),
    primitive(BOOLEAN, '\u00FF'),
    primitive(OCTET_STRING, encode(names).toString('latin1')),
  ]);
}

function attribute(type: string, value: Asn1): Asn1 {
  return sequence([oid(type), asn1.create(UNIVERSAL, SET, true, [value])]);
}

function sequence(children: Asn1[]): Asn1 {
  return asn1.create(UNIVERSAL, SEQUENCE, true, children);
}

function primitive(tag: number, content: string): Asn1 {
  return asn1.create(UNIVERSAL, tag, false, content);
}

function oid(dotted: string): Asn1 {
  return primitive(OID, asn1.oidToDer(dotted).getBytes());
}

function encode(node: Asn1): Buffer {
  return Buffer.from(asn1.toDer(node).getBytes(), 'latin1');
}

function toPem(label: string, der: Buffer): string {
  const lines = der.toString('base64').match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`;
}
