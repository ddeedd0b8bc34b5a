/**
 * SPIFFE IDs: parsed, checked, and built for workloads (SPIFFE-ID specification, sections 2.1 to 2.4).
 * Knows no certificate and no token.
 */
import { err, ok } from '#base/result.ts';
import type { Result } from '#base/result.ts';

export interface SpiffeId {
  readonly trustDomain: string;
  /** With leading slash; empty when the ID names the trust domain itself. */
  readonly path: string;
}

/** What the path of a workload's ID says in this mesh. */
export interface WorkloadIdentity {
  readonly trustDomain: string;
  readonly namespace: string;
  readonly serviceAccount: string;
}

const SCHEME = 'spiffe://';
/** Bound of the specification, in bytes; everything allowed is ASCII. */
const MAX_ID_LENGTH = 2048;
const MAX_TRUST_DOMAIN_LENGTH = 255;
const TRUST_DOMAIN = /^[a-z0-9._-]+$/;
const SEGMENT = /^[A-Za-z0-9._-]+$/;

/** True when `text` may stand between `spiffe://` and the path. */
export function isTrustDomain(text: string): boolean {
  return text.length <= MAX_TRUST_DOMAIN_LENGTH && TRUST_DOMAIN.test(text);
}

/** The parts of an ID, or the reason why it is none. */
export function parseSpiffeId(text: string): Result<SpiffeId, string> {
  if (text.length > MAX_ID_LENGTH) return err(`longer than ${MAX_ID_LENGTH} bytes`);
  if (!text.startsWith(SCHEME)) return err('scheme is not spiffe');
  const rest = text.slice(SCHEME.length);
  const slash = rest.indexOf('/');
  const trustDomain = slash === -1 ? rest : rest.slice(0, slash);
  if (!isTrustDomain(trustDomain)) {
    return err('trust domain is not made of a to z, 0 to 9, dot, dash and underscore');
  }
  const path = slash === -1 ? '' : rest.slice(slash);
  for (const segment of path.split('/').slice(1)) {
    if (segment === '') return err('path has an empty segment');
    if (segment === '.' || segment === '..') return err('path has a dot segment');
    if (!SEGMENT.test(segment))
      return err('path segment has a character other than letters, digits, dot, dash and underscore');
  }
  return ok({ trustDomain, path });
}

/** `spiffe://<trust domain>/ns/<namespace>/sa/<service account>`: the form that the whole field uses for Kubernetes workloads. */
export function workloadId(identity: WorkloadIdentity): string {
  return `${SCHEME}${identity.trustDomain}/ns/${identity.namespace}/sa/${identity.serviceAccount}`;
}

/** Namespace and service account of a workload's ID; null when it is valid but of another form, or not valid. */
export function parseWorkloadId(text: string): WorkloadIdentity | null {
  const parsed = parseSpiffeId(text);
  if (!parsed.ok) return null;
  const [, ns, namespace, sa, serviceAccount, ...more] = parsed.value.path.split('/');
  if (ns !== 'ns' || sa !== 'sa' || namespace === undefined || serviceAccount === undefined || more.length > 0)
    return null;
  return { trustDomain: parsed.value.trustDomain, namespace, serviceAccount };
}
