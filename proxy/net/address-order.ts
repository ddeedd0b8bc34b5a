/**
 * The addresses of one endpoint, tried one after the other (RFC 8305): the next one when the last has not answered within 250 ms,
 * first the one that answered last. Knows no name and resolves nothing.
 */
import type { LookupAddress, LookupOptions } from 'node:dns';
import { isIP } from 'node:net';
import type { Clock } from '#base/clock.ts';

/** RFC 8305 section 5, Connection Attempt Delay. */
export const ATTEMPT_DELAY_MS = 250;
/** RFC 8305 section 9.1: what is remembered of a network is soon no longer true. */
const REMEMBERED_MS = 600_000;

type Done = (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void;

export class AddressOrder {
  readonly #addresses: readonly LookupAddress[];
  readonly #clock: Clock;
  #last: string | null = null;
  #lastMs = 0;

  /** @param addresses at least two, in order of preference */
  constructor(addresses: readonly string[], clock: Clock) {
    this.#addresses = addresses.map((address) => ({ address, family: isIP(address) }));
    this.#clock = clock;
  }

  /** In the form that `net.connect` takes; it asks for all. */
  readonly lookup = (_host: string, _options: LookupOptions, done: Done): void => done(null, this.inOrder());

  inOrder(): LookupAddress[] {
    const last = this.#clock.now() - this.#lastMs < REMEMBERED_MS ? this.#last : null;
    const first = this.#addresses.filter(({ address }) => address === last);
    return [...first, ...this.#addresses.filter(({ address }) => address !== last)];
  }

  /** A connection to this address came about. */
  answered(address: string | undefined): void {
    this.#last = address ?? null;
    this.#lastMs = this.#clock.now();
  }
}
