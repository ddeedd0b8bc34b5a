/**
 * The authority's keys and certificates in the state folder: made at first start, read at later ones.
 * Knows file names and modes; what the certificates say is authority.ts's business.
 */
import { X509Certificate } from 'node:crypto';
import { join } from 'node:path';
import { createIssuer, createRoot, issuerIsDue, readPair } from './authority.ts';
import type { AuthorityMaterial, SigningPair } from './authority.ts';
import { decodePem, encodePem } from './pem.ts';
import {
  PRIVATE_MODE,
  PUBLIC_MODE,
  makePrivateFolder,
  readIfPresent,
  readPrivate,
  writeAtomically,
} from './private-files.ts';

/** Key and certificate stand in one file each, so that no crash can part them. */
const ROOT_FILE = 'root.pem';
const ISSUER_FILE = 'issuer.pem';
/** Further roots to trust, put there by people. */
const EXTRA_ROOTS_FILE = 'extra-roots.pem';
/** The trust bundle, for those who connect. */
const BUNDLE_FILE = 'ca.pem';

const CERTIFICATE_BLOCK = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/;
const KEY_BLOCK = /-----BEGIN PRIVATE KEY-----[^-]+-----END PRIVATE KEY-----/;

/** Reads what is there and makes what is missing or due. Throws, with the file's name, when a file cannot be used: a silently replaced root would cut off the mesh. */
export function loadAuthority(folder: string, trustDomain: string, wallMs: number): AuthorityMaterial {
  makePrivateFolder(folder);
  const root = loadRoot(join(folder, ROOT_FILE), trustDomain, wallMs);
  let issuer = readPairFile(join(folder, ISSUER_FILE));
  if (
    issuer === null ||
    !issuer.certificate.verify(root.certificate.publicKey) ||
    issuerIsDue(issuer.certificate, wallMs)
  ) {
    issuer = createIssuer(root, trustDomain, wallMs);
    saveIssuer(folder, issuer);
  }
  return { root, issuer, extraRoots: loadExtraRoots(join(folder, EXTRA_ROOTS_FILE)) };
}

export function saveIssuer(folder: string, issuer: SigningPair): void {
  writePairFile(join(folder, ISSUER_FILE), issuer);
}

/** Writes the trust bundle where clients of this machine find it; returns the path. */
export function saveTrustBundle(folder: string, bundle: string): string {
  const path = join(folder, BUNDLE_FILE);
  if (readIfPresent(path) !== bundle) writeAtomically(path, bundle, PUBLIC_MODE);
  return path;
}

function loadRoot(path: string, trustDomain: string, wallMs: number): SigningPair {
  const present = readPairFile(path);
  if (present === null) {
    const root = createRoot(trustDomain, wallMs);
    writePairFile(path, root);
    return root;
  }
  if (!present.certificate.ca) throw new Error(`${path} is no certificate authority`);
  if (present.certificate.validToDate.getTime() <= wallMs) throw new Error(`the root in ${path} has expired`);
  const id = `URI:spiffe://${trustDomain}`;
  if (present.certificate.subjectAltName !== id) {
    throw new Error(`the root in ${path} is not for the trust domain ${trustDomain}; use another state folder`);
  }
  return present;
}

function readPairFile(path: string): SigningPair | null {
  const text = readPrivate(path);
  if (text === null) return null;
  const pair = readPair(KEY_BLOCK.exec(text)?.[0] ?? '', CERTIFICATE_BLOCK.exec(text)?.[0] ?? '');
  if (pair === null) throw new Error(`${path} does not hold a private key with its certificate`);
  return pair;
}

function writePairFile(path: string, pair: SigningPair): void {
  const key = pair.key.export({ type: 'pkcs8', format: 'pem' });
  writeAtomically(path, key + encodePem('CERTIFICATE', pair.certificate.raw), PRIVATE_MODE);
}

function loadExtraRoots(path: string): readonly X509Certificate[] {
  const text = readIfPresent(path);
  if (text === null) return [];
  const blocks = decodePem(text, 'CERTIFICATE');
  if (!blocks.ok) throw new Error(`${path}: ${blocks.error}`);
  return blocks.value.map((bytes) => {
    const certificate = new X509Certificate(bytes);
    if (!certificate.ca) throw new Error(`${path}: ${certificate.subject} is no certificate authority`);
    return certificate;
  });
}
