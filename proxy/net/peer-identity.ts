/**
 * Who a certificate says its holder is: the one SPIFFE ID of an X.509-SVID.
 * Knows no trust: the chain was verified before anyone asks here.
 */

/** SPIFFE-ID 2.1-2.4: trust domain of lower-case letters, digits, dots, dashes, underscores; path of unreserved segments. No percent, no comma, so no list can hide in it. */
const SPIFFE_URI = /^URI:(spiffe:\/\/[a-z0-9._-]{1,255}(?:\/[A-Za-z0-9._-]+)*)$/;
const MAX_ID_LENGTH = 2048;

/**
 * The SPIFFE ID in `subjectAltName` (as node:tls gives it), or null when there is not exactly one URI name, or it is no SPIFFE ID
 * (X.509-SVID 2: a certificate with more than one URI SAN is no SVID).
 */
export function spiffeIdOf(subjectAltName: string | undefined): string | null {
  if (subjectAltName === undefined || subjectAltName.length > MAX_ID_LENGTH) return null;
  const match = SPIFFE_URI.exec(subjectAltName);
  const id = match?.[1] ?? null;
  if (id === null || id.includes('/./') || id.includes('/../') || id.endsWith('/.') || id.endsWith('/..')) return null;
  return id;
}

/** `spiffe://<trust domain>/…` */
export function isInTrustDomain(id: string, trustDomain: string): boolean {
  return id.startsWith(`spiffe://${trustDomain}/`);
}

/** Namespace and service account of `spiffe://<td>/ns/<namespace>/sa/<service account>`; null for other forms. */
export function workloadOf(id: string): { readonly namespace: string; readonly serviceAccount: string } | null {
  const match = /^spiffe:\/\/[^/]+\/ns\/([^/]+)\/sa\/([^/]+)$/.exec(id);
  return match === null ? null : { namespace: match[1] ?? '', serviceAccount: match[2] ?? '' };
}
