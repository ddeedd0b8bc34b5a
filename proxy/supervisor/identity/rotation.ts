/**
 * Keeps a certificate in force: a new key and certificate at two thirds of life, with jitter so that a fleet does not come at once.
 * While the authority does not answer, the present one serves until its end. Knows no network: signing is handed in.
 */
import { generateKeyPair, type KeyObject } from 'node:crypto';
import { promisify } from 'node:util';
import { reconnectMs, type BackoffBounds } from '#base/backoff.ts';
import type { Clock, Timer } from '#base/clock.ts';
import type { Logger } from '#base/log.ts';
import type { Random } from '#base/random.ts';
import { err, type Result } from '#base/result.ts';
import type { IdentityMaterial } from '../../worker/messages.ts';
import type { SignRequest } from './authority-client.ts';
import { checkCertificates } from './certificate.ts';
import { createSigningRequest } from './csr.ts';

const RENEWAL: BackoffBounds = { baseMs: 100, maxMs: 30_000 };
/** Renewed between these parts of life. */
const EARLIEST = 0.6;
const LATEST = 2 / 3;
/** Even a certificate that is about to end is not renewed faster than this. */
const MIN_DELAY_MS = 1000;

const newKeyPair = promisify(generateKeyPair);

export interface RotationOptions {
  readonly spiffeId: string;
  readonly sign: SignRequest;
  readonly onIdentity: (identity: IdentityMaterial) => void;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

export class IdentityRotation {
  readonly #options: RotationOptions;
  #current: IdentityMaterial | null = null;
  #timer: Timer | null = null;
  #failures = 0;
  #isClosed = false;

  constructor(options: RotationOptions) {
    this.#options = options;
  }

  /** The identity in force; null before the first and after the end of the last. */
  get current(): IdentityMaterial | null {
    const current = this.#current;
    return current !== null && current.notAfterMs > this.#options.clock.wall() ? current : null;
  }

  /** Attempts that failed since the last that did not. */
  get failures(): number {
    return this.#failures;
  }

  start(): void {
    void this.#renew();
  }

  close(): void {
    this.#isClosed = true;
    this.#timer?.cancel();
  }

  async #renew(): Promise<void> {
    const { clock, random, log, onIdentity } = this.#options;
    const renewed = await this.#request();
    if (this.#isClosed) return;
    if (renewed.ok) {
      this.#failures = 0;
      this.#current = renewed.value;
      const lifeMs = renewed.value.notAfterMs - clock.wall();
      this.#after(Math.max(MIN_DELAY_MS, lifeMs * (LATEST - random() * (LATEST - EARLIEST))));
      log.info('certificate in force', { identity: renewed.value.spiffeId, lifeMs });
      onIdentity(renewed.value);
      return;
    }
    const delayMs = reconnectMs(RENEWAL, this.#failures++, random);
    const untilMs = this.#current === null ? 0 : Math.max(0, this.#current.notAfterMs - clock.wall());
    log.warn('no certificate from the authority', {
      reason: renewed.error,
      retryMs: Math.round(delayMs),
      presentOneEndsInMs: untilMs,
    });
    this.#after(delayMs);
  }

  #after(delayMs: number): void {
    this.#timer = this.#options.clock.after(delayMs, () => void this.#renew());
  }

  async #request(): Promise<Result<IdentityMaterial, string>> {
    const { spiffeId, sign, clock } = this.#options;
    try {
      const { privateKey }: { readonly privateKey: KeyObject } = await newKeyPair('ec', { namedCurve: 'P-256' });
      const chain = await sign(createSigningRequest(privateKey, spiffeId));
      return checkCertificates(chain, privateKey, spiffeId, clock.wall());
    } catch (error) {
      return err(error instanceof Error ? error.message : String(error));
    }
  }
}
