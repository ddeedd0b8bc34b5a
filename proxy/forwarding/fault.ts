/**
 * Faults on purpose: which requests wait, and which are answered with an error (Envoy HTTP fault filter: first the delay, then the abort).
 * Pure: chance is an argument. Knows no stream and no timer.
 */
import type { Random } from '#base/random.ts';
import type { FaultConfig } from '../config/request-filters.ts';
import type { HeaderList } from '../http/headers.ts';
import { linkValue, matchesHeader, type ValueMatcher } from '../routing/match.ts';

export interface Fault {
  /** 0: none. */
  readonly delayMs: number;
  /** 0: the request goes on. */
  readonly abortStatus: number;
}

const NONE: Fault = { delayMs: 0, abortStatus: 0 };

/** Compiled at the first request: a snapshot holds plain data only. */
const linked = new WeakMap<FaultConfig, readonly ValueMatcher[]>();

export function decideFault(config: FaultConfig, headers: HeaderList, random: Random): Fault {
  let matchers = linked.get(config);
  if (matchers === undefined) linked.set(config, (matchers = config.headers.map(linkValue)));
  if (!matchers.every((matcher) => matchesHeader(matcher, headers))) return NONE;
  const delays = config.delayMs > 0 && random() * 100 < config.delayPercent;
  const aborts = config.abortStatus > 0 && random() * 100 < config.abortPercent;
  return { delayMs: delays ? config.delayMs : 0, abortStatus: aborts ? config.abortStatus : 0 };
}
