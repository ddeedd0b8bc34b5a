/**
 * Tokens of a folder mesh: compact JWS (RFC 7515) with HS256 and the claims of a Kubernetes service account token (docs/wire.md).
 * Issues and verifies them; deliberately understands no other algorithm and no header that changes the meaning.
 */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { join } from 'node:path';
import type { Clock } from '#base/clock.ts';
import { err, ok } from '#base/result.ts';
import type { Result } from '#base/result.ts';
import type { Caller, TokenReviewer } from './caller.ts';
import { PRIVATE_MODE, readPrivate, writeAtomically } from './private-files.ts';

export const TOKEN_AUDIENCE = 'tulle';
const KEY_FILE = 'token-key';
const KEY_BYTES = 32;
const MAX_TOKEN_LENGTH = 8192;
const HEADER = encodePart({ alg: 'HS256', typ: 'JWT' });
/** RFC 1123 names, as Kubernetes has them for namespaces, service accounts and pods. */
const NAME = /^[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?$/;

/** Reads the key from the state folder, or makes one. */
export function loadTokenKey(folder: string): Buffer {
  const path = join(folder, KEY_FILE);
  const text = readPrivate(path);
  if (text !== null) {
    const key = Buffer.from(text.trim(), 'base64url');
    if (key.length !== KEY_BYTES) throw new Error(`${path} does not hold a key of ${KEY_BYTES} bytes`);
    return key;
  }
  const key = randomBytes(KEY_BYTES);
  writeAtomically(path, `${key.toString('base64url')}\n`, PRIVATE_MODE);
  return key;
}

export class FolderTokens implements TokenReviewer {
  readonly #key: Buffer;
  readonly #clock: Clock;

  constructor(key: Buffer, clock: Clock) {
    this.#key = key;
    this.#clock = clock;
  }

  /** A token that speaks for one workload during `lifeMs`. */
  issue(caller: Caller & { readonly pod: string }, lifeMs: number): string {
    const now = Math.floor(this.#clock.wall() / 1000);
    const payload = encodePart({
      aud: [TOKEN_AUDIENCE],
      sub: subject(caller.namespace, caller.serviceAccount),
      iat: now,
      exp: now + Math.ceil(lifeMs / 1000),
      'kubernetes.io': {
        namespace: caller.namespace,
        pod: { name: caller.pod },
        serviceaccount: { name: caller.serviceAccount },
      },
    });
    return `${HEADER}.${payload}.${this.#mac(`${HEADER}.${payload}`).toString('base64url')}`;
  }

  review(token: string): Promise<Result<Caller, string>> {
    return Promise.resolve(this.#verify(token));
  }

  #verify(token: string): Result<Caller, string> {
    if (token.length > MAX_TOKEN_LENGTH) return err('token is too long');
    const [header, payload, signature, ...more] = token.split('.');
    if (header === undefined || payload === undefined || signature === undefined || more.length > 0) {
      return err('token is not a compact JWS');
    }
    const given = Buffer.from(signature, 'base64url');
    const expected = this.#mac(`${header}.${payload}`);
    // Only after this does anything of the token count. Re-encoding refuses other spellings of the same bytes.
    if (given.length !== expected.length || !timingSafeEqual(given, expected)) return err('signature does not verify');
    if (given.toString('base64url') !== signature) return err('signature is not base64url');
    const head = decodePart(header);
    if (head?.['alg'] !== 'HS256' || head['crit'] !== undefined) return err('algorithm is not HS256');
    const claims = decodePart(payload);
    return claims === null ? err('claims are no JSON object') : this.#readClaims(claims);
  }

  #readClaims(claims: Record<string, unknown>): Result<Caller, string> {
    const now = this.#clock.wall() / 1000;
    const { aud, exp, nbf, sub } = claims;
    if (!(Array.isArray(aud) ? aud.includes(TOKEN_AUDIENCE) : aud === TOKEN_AUDIENCE))
      return err('audience is not tulle');
    if (typeof exp !== 'number' || !Number.isFinite(exp)) return err('token has no expiry');
    if (exp <= now) return err('token has expired');
    if (nbf !== undefined && !(typeof nbf === 'number' && nbf <= now)) return err('token is not valid yet');
    const details = objectAt(claims, 'kubernetes.io');
    const namespace = details?.['namespace'];
    const serviceAccount = objectAt(details, 'serviceaccount')?.['name'];
    const pod = objectAt(details, 'pod')?.['name'];
    if (!isName(namespace) || !isName(serviceAccount) || !isName(pod)) {
      return err('token does not name namespace, service account and pod');
    }
    if (sub !== subject(namespace, serviceAccount)) return err('subject does not agree with the other claims');
    return ok({ namespace, serviceAccount, pod });
  }

  #mac(text: string): Buffer {
    return createHmac('sha256', this.#key).update(text).digest();
  }
}

function subject(namespace: string, serviceAccount: string): string {
  return `system:serviceaccount:${namespace}:${serviceAccount}`;
}

function encodePart(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}

function decodePart(text: string): Record<string, unknown> | null {
  try {
    return asObject(JSON.parse(Buffer.from(text, 'base64url').toString('utf8')));
  } catch {
    return null;
  }
}

function objectAt(value: Record<string, unknown> | null | undefined, key: string): Record<string, unknown> | null {
  return value == null ? null : asObject(value[key]);
}

function asObject(value: unknown): Record<string, unknown> | null {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : null;
}

function isName(value: unknown): value is string {
  return typeof value === 'string' && NAME.test(value);
}
