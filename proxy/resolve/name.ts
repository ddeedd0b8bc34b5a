/**
 * One name, followed: asked for when its TTL is over, in both families, its last good addresses kept while the DNS fails.
 * Rules: RFC 8305 section 3 (a first IPv4 answer waits a moment for IPv6), RFC 8767 (stale addresses serve while nobody answers;
 * "there is none" is an answer). Knows no cluster and sends nothing itself.
 */
import { reconnectMs } from '#base/backoff.ts';
import type { Clock, Timer } from '#base/clock.ts';
import type { Random } from '#base/random.ts';
import type { DnsConfig } from '../config/snapshot.ts';
import type { Answer, Family, Lookup } from './lookup.ts';

/** In ascending order, each once. */
export interface Addresses {
  readonly v4: readonly string[];
  readonly v6: readonly string[];
}

export type NameOptions = Pick<DnsConfig, 'families' | 'respectTtl' | 'refreshMs' | 'failureMs' | 'maxFailureMs'>;

/** What the operator of the sidecar allows, in milliseconds, whatever a server says. */
export interface TtlBounds {
  readonly minTtlMs: number;
  readonly maxTtlMs: number;
}

export interface NameEnv {
  readonly clock: Clock;
  readonly random: Random;
  readonly lookup: Lookup;
  readonly bounds: TtlBounds;
  readonly onAnswer: (kind: Answer['kind']) => void;
}

/** RFC 8305 section 3, Resolution Delay. */
const RESOLUTION_DELAY_MS = 50;
/** Of a TTL: so that names that were asked for together do not stay together. Never less than the TTL. */
const JITTER = 0.1;
/** RFC 8767 section 5: addresses older than this are not used any more. */
const MAX_STALE_MS = 86_400_000;

interface FamilyState {
  addresses: readonly string[];
  /** When they were last confirmed. */
  atMs: number;
}

export class ResolvedName {
  readonly #host: string;
  readonly #options: NameOptions;
  readonly #env: NameEnv;
  readonly #onChange: (addresses: Addresses) => void;
  readonly #known: Record<Family, FamilyState> = {
    4: { addresses: [], atMs: 0 },
    6: { addresses: [], atMs: 0 },
  };
  #published: Addresses | null = null;
  #timer: Timer | null = null;
  #delay: Timer | null = null;
  #failures = 0;
  #isClosed = false;

  /** `onChange` hears of the first answer, though it be empty, and of every other set of addresses. */
  constructor(host: string, options: NameOptions, env: NameEnv, onChange: (addresses: Addresses) => void) {
    this.#host = host;
    this.#options = options;
    this.#env = env;
    this.#onChange = onChange;
  }

  /** Null: nothing is known yet. */
  get addresses(): Addresses | null {
    return this.#published;
  }

  start(): void {
    void this.#refresh();
  }

  close(): void {
    this.#isClosed = true;
    this.#timer?.cancel();
    this.#delay?.cancel();
  }

  async #refresh(): Promise<void> {
    const answers = await Promise.all(familiesOf(this.#options).map((family) => this.#ask(family)));
    if (this.#isClosed) return;
    this.#delay?.cancel();
    this.#publish();
    this.#timer = this.#env.clock.after(this.#nextMs(answers), () => void this.#refresh());
  }

  async #ask(family: Family): Promise<Answer> {
    const { lookup, clock, onAnswer } = this.#env;
    const answer = await lookup(this.#host, family);
    if (this.#isClosed) return answer;
    onAnswer(answer.kind);
    const known = this.#known[family];
    if (answer.kind !== 'failed') {
      known.addresses = answer.kind === 'found' ? [...new Set(answer.addresses)].sort() : [];
      known.atMs = clock.now();
    } else if (clock.now() - known.atMs > MAX_STALE_MS) known.addresses = [];
    // Only the first time: afterwards the addresses in force serve until both families have answered.
    if (this.#published === null && known.addresses.length > 0) {
      if (family === 6) this.#publish();
      else this.#delay ??= clock.after(RESOLUTION_DELAY_MS, () => this.#publish());
    }
    return answer;
  }

  #publish(): void {
    const next = { v4: this.#known[4].addresses, v6: this.#known[6].addresses };
    const before = this.#published;
    if (before !== null && sameList(before.v4, next.v4) && sameList(before.v6, next.v6)) return;
    this.#published = next;
    this.#onChange(next);
  }

  /** A family that failed is asked again soon, whatever the other's TTL. */
  #nextMs(answers: readonly Answer[]): number {
    const { random, bounds } = this.#env;
    const { respectTtl, refreshMs, failureMs, maxFailureMs } = this.#options;
    const found = answers.filter((answer) => answer.kind === 'found');
    const ttls = found.map(({ ttlMs }) => (respectTtl && ttlMs !== null ? ttlMs : refreshMs));
    const ttlMs = Math.min(bounds.maxTtlMs, Math.max(bounds.minTtlMs, Math.min(...ttls)));
    const freshMs = ttlMs * (1 + JITTER * random());
    if (found.length > 0 && answers.every(({ kind }) => kind !== 'failed')) {
      this.#failures = 0;
      return freshMs;
    }
    const againMs = reconnectMs({ baseMs: failureMs, maxMs: maxFailureMs }, this.#failures++, random);
    return found.length === 0 ? againMs : Math.min(freshMs, againMs);
  }
}

function familiesOf({ families }: NameOptions): readonly Family[] {
  if (families === 'v4') return [4];
  return families === 'v6' ? [6] : [6, 4];
}

function sameList(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((item, i) => item === b[i]);
}
