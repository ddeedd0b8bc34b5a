/**
 * The certificate authority of a mesh: a root that signs an issuer, which signs leaves.
 * Decides what certificates say and how long they live; knows no file and no network.
 */
import { X509Certificate, createPrivateKey, createPublicKey, generateKeyPairSync } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import type { Clock } from '#base/clock.ts';
import { err, ok } from '#base/result.ts';
import type { Result } from '#base/result.ts';
import { distinguishedName, signCertificate, subjectOf } from './certificate.ts';
import { encodePem } from './pem.ts';
import { readSigningRequest } from './signing-request.ts';
import { parseSpiffeId } from './spiffe-id.ts';

const DAY_MS = 86_400_000;
export const ROOT_LIFE_MS = 3650 * DAY_MS;
export const ISSUER_LIFE_MS = 365 * DAY_MS;
/** Clocks of two machines may differ by this much before a new certificate is refused as not yet valid. */
export const CLOCK_SKEW_MS = 60_000;
/** A certificate for less time could not be renewed in time. */
export const MIN_LEAF_MS = 5000;

/** A key and the certificate that speaks for it. */
export interface SigningPair {
  readonly key: KeyObject;
  readonly certificate: X509Certificate;
}

export interface AuthorityMaterial {
  readonly root: SigningPair;
  readonly issuer: SigningPair;
  /** Further roots that the mesh trusts, as when one authority takes over from another. */
  readonly extraRoots: readonly X509Certificate[];
}

export interface IssuedCertificate {
  /** PEM: leaf, issuer, root. */
  readonly chain: readonly string[];
  readonly notAfterMs: number;
}

export interface ServerCertificate {
  readonly keyPem: string;
  /** PEM: leaf and issuer in one text. */
  readonly chainPem: string;
  readonly notAfterMs: number;
}

export function newKey(): KeyObject {
  return generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
}

/** Milliseconds since the epoch. */
export function notAfterMs(certificate: X509Certificate): number {
  return certificate.validToDate.getTime();
}

/** A self-signed root for a trust domain; its ID names the domain itself (X509-SVID 3.2). */
export function createRoot(trustDomain: string, wallMs: number): SigningPair {
  const key = newKey();
  const subject = { commonName: 'Tulle root', organization: trustDomain };
  const certificate = signCertificate(
    {
      ...subject,
      altNames: { uris: [`spiffe://${trustDomain}`], dnsNames: [], addresses: [] },
      purpose: { kind: 'authority', pathLength: 1 },
      notBeforeMs: wallMs - CLOCK_SKEW_MS,
      notAfterMs: wallMs + ROOT_LIFE_MS,
      publicKey: createPublicKey(key),
    },
    { name: distinguishedName(subject.commonName, subject.organization), key },
  );
  return { key, certificate: new X509Certificate(certificate) };
}

/** An issuer below `root`, which never outlives it. */
export function createIssuer(root: SigningPair, trustDomain: string, wallMs: number): SigningPair {
  const key = newKey();
  const certificate = signCertificate(
    {
      commonName: 'Tulle issuer',
      organization: trustDomain,
      altNames: { uris: [`spiffe://${trustDomain}`], dnsNames: [], addresses: [] },
      purpose: { kind: 'authority', pathLength: 0 },
      notBeforeMs: wallMs - CLOCK_SKEW_MS,
      notAfterMs: Math.min(wallMs + ISSUER_LIFE_MS, notAfterMs(root.certificate)),
      publicKey: createPublicKey(key),
    },
    { name: subjectOf(root.certificate.raw), key: root.key },
  );
  return { key, certificate: new X509Certificate(certificate) };
}

/** An issuer is replaced when less than a third of its life is left, so that leaves below it are never cut short. */
export function issuerIsDue(issuer: X509Certificate, wallMs: number): boolean {
  const life = notAfterMs(issuer) - issuer.validFromDate.getTime();
  return notAfterMs(issuer) - wallMs < life / 3;
}

/** A pair from its PEM texts; null when they do not belong together. */
export function readPair(keyPem: string, certificatePem: string): SigningPair | null {
  try {
    const key = createPrivateKey(keyPem);
    const certificate = new X509Certificate(certificatePem);
    return certificate.checkPrivateKey(key) ? { key, certificate } : null;
  } catch {
    return null;
  }
}

export class Authority {
  readonly trustDomain: string;
  /** All roots that the mesh trusts, in PEM: the own one first. */
  readonly trustBundle: string;
  readonly #clock: Clock;
  readonly #maxLeafMs: number;
  #material: AuthorityMaterial;
  #issued = 0;

  constructor(material: AuthorityMaterial, options: { trustDomain: string; maxLeafMs: number; clock: Clock }) {
    this.#material = material;
    this.trustDomain = options.trustDomain;
    const roots = [material.root.certificate, ...material.extraRoots];
    this.trustBundle = roots.map((root) => encodePem('CERTIFICATE', root.raw)).join('');
    this.#maxLeafMs = options.maxLeafMs;
    this.#clock = options.clock;
  }

  get root(): X509Certificate {
    return this.#material.root.certificate;
  }

  get issuer(): X509Certificate {
    return this.#material.issuer.certificate;
  }

  /** Workload certificates signed since the start. */
  get issued(): number {
    return this.#issued;
  }

  /** Puts a new issuer in force if the present one is due; the new pair is for the state folder. */
  renewIssuer(): SigningPair | null {
    const wallMs = this.#clock.wall();
    if (!issuerIsDue(this.issuer, wallMs)) return null;
    const issuer = createIssuer(this.#material.root, this.trustDomain, wallMs);
    this.#material = { ...this.#material, issuer };
    return issuer;
  }

  /**
   * A certificate for `identity`, which the caller has proven; of the request only the key counts.
   * `wishedMs` of 0 means the longest allowed.
   */
  issueWorkload(requestPem: string, identity: string, wishedMs: number): Result<IssuedCertificate, string> {
    const id = parseSpiffeId(identity);
    if (!id.ok) return err(`identity is no SPIFFE ID: ${id.error}`);
    if (id.value.trustDomain !== this.trustDomain || id.value.path === '')
      return err('identity is not of this trust domain');
    const publicKey = readSigningRequest(requestPem);
    if (!publicKey.ok) return publicKey;
    const lifeMs = wishedMs <= 0 ? this.#maxLeafMs : Math.min(Math.max(wishedMs, MIN_LEAF_MS), this.#maxLeafMs);
    const altNames = { uris: [identity], dnsNames: [], addresses: [] };
    const leaf = this.#signLeaf({ altNames, lifeMs, publicKey: publicKey.value, commonName: '' });
    this.#issued++;
    return ok({
      chain: [leaf.der, this.issuer.raw, this.root.raw].map((certificate) => encodePem('CERTIFICATE', certificate)),
      notAfterMs: leaf.notAfterMs,
    });
  }

  /** Key and certificate for the control plane's own port. */
  issueServer(dnsNames: readonly string[], addresses: readonly string[], lifeMs: number): ServerCertificate {
    const key = newKey();
    const altNames = { uris: [], dnsNames, addresses };
    const leaf = this.#signLeaf({
      altNames,
      lifeMs,
      publicKey: createPublicKey(key),
      commonName: 'tulle-control-plane',
    });
    return {
      keyPem: key.export({ type: 'pkcs8', format: 'pem' }),
      chainPem: [leaf.der, this.issuer.raw].map((certificate) => encodePem('CERTIFICATE', certificate)).join(''),
      notAfterMs: leaf.notAfterMs,
    };
  }

  #signLeaf(plan: {
    altNames: { uris: readonly string[]; dnsNames: readonly string[]; addresses: readonly string[] };
    lifeMs: number;
    publicKey: KeyObject;
    commonName: string;
  }): { der: Buffer; notAfterMs: number } {
    const { certificate, key } = this.#material.issuer;
    const wallMs = this.#clock.wall();
    // Certificates count whole seconds: the end is rounded down, so that it is never after the issuer's.
    const end = Math.floor(Math.min(wallMs + plan.lifeMs, notAfterMs(certificate)) / 1000) * 1000;
    const bytes = signCertificate(
      {
        commonName: plan.commonName,
        organization: '',
        altNames: plan.altNames,
        purpose: { kind: 'leaf' },
        notBeforeMs: Math.max(wallMs - CLOCK_SKEW_MS, certificate.validFromDate.getTime()),
        notAfterMs: end,
        publicKey: plan.publicKey,
      },
      { name: subjectOf(certificate.raw), key },
    );
    return { der: bytes, notAfterMs: end };
  }
}
