/**
 * DER values as a tree, written and read with node-forge's asn1 (X.690).
 * Knows no certificate; the only file of the control plane that touches forge.
 */
import asn1 from 'node-forge/lib/asn1.js';
import type { Asn1 } from 'node-forge/lib/asn1.js';

export type Der = Asn1;

const UNIVERSAL = 0x00;
const CONTEXT = 0x80;

/** Universal tags in use. */
export const TAG = {
  boolean: 1,
  integer: 2,
  bitString: 3,
  octetString: 4,
  oid: 6,
  utf8: 12,
  sequence: 16,
  set: 17,
  utcTime: 23,
  generalizedTime: 24,
} as const;

function primitive(tag: number, bytes: Uint8Array | string): Der {
  return asn1.create(UNIVERSAL, tag, false, typeof bytes === 'string' ? bytes : Buffer.from(bytes).toString('latin1'));
}

export function sequence(...children: Der[]): Der {
  return asn1.create(UNIVERSAL, TAG.sequence, true, children);
}

export function set(...children: Der[]): Der {
  return asn1.create(UNIVERSAL, TAG.set, true, children);
}

export function oid(text: string): Der {
  return primitive(TAG.oid, asn1.oidToDer(text).getBytes());
}

export function boolean(value: boolean): Der {
  return primitive(TAG.boolean, value ? '\u00FF' : '\u0000');
}

/** An INTEGER from its content bytes, big-endian two's complement, shortest form. */
export function integer(bytes: Uint8Array): Der {
  return primitive(TAG.integer, bytes);
}

export function octetString(bytes: Uint8Array): Der {
  return primitive(TAG.octetString, bytes);
}

export function bitString(bytes: Uint8Array, unusedBits = 0): Der {
  return primitive(TAG.bitString, Buffer.concat([Buffer.of(unusedBits), bytes]));
}

export function utf8(text: string): Der {
  return primitive(TAG.utf8, Buffer.from(text));
}

/** Time as RFC 5280 4.1.2.5 asks: UTCTime through 2049, GeneralizedTime from 2050; whole seconds. */
export function time(wallMs: number): Der {
  const text = new Date(wallMs).toISOString().replaceAll(/[-:T]|\.\d+/g, '');
  return new Date(wallMs).getUTCFullYear() < 2050
    ? primitive(TAG.utcTime, text.slice(2))
    : primitive(TAG.generalizedTime, text);
}

/** `[number]` around another value. */
export function explicit(number: number, child: Der): Der {
  return asn1.create(CONTEXT, number, true, [child]);
}

/** `[number]` in place of a primitive value's own tag. */
export function implicit(number: number, bytes: Uint8Array): Der {
  return asn1.create(CONTEXT, number, false, Buffer.from(bytes).toString('latin1'));
}

export function encode(node: Der): Buffer {
  return Buffer.from(asn1.toDer(node).getBytes(), 'latin1');
}

/** The tree of `bytes`; null when they are not one value in canonical form, so that encoding the tree gives the same bytes. */
export function decode(bytes: Buffer): Der | null {
  try {
    const node = asn1.fromDer(bytes.toString('latin1'), { strict: true, parseAllBytes: true, decodeBitStrings: false });
    return encode(node).equals(bytes) ? node : null;
  } catch {
    return null;
  }
}

function isUniversal(node: Der | undefined, tag: number): node is Der {
  return node !== undefined && node.tagClass === UNIVERSAL && node.type === tag;
}

/** The children of a SEQUENCE; empty when `node` is something else. */
export function sequenceOf(node: Der | undefined): readonly Der[] {
  return isUniversal(node, TAG.sequence) && Array.isArray(node.value) ? node.value : [];
}

/** The dotted form of an OBJECT IDENTIFIER; empty when `node` is something else. */
export function oidOf(node: Der | undefined): string {
  return isUniversal(node, TAG.oid) && typeof node.value === 'string' ? asn1.derToOid(node.value) : '';
}

/** The bytes of a primitive value with this universal tag; null when `node` is something else. */
export function contentOf(node: Der | undefined, tag: number): Buffer | null {
  return isUniversal(node, tag) && typeof node.value === 'string' ? Buffer.from(node.value, 'latin1') : null;
}
