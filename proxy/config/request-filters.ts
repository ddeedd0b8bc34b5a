/** What stands between a request and the action of its route, as configuration. Plain data. */
import type { ValueMatchConfig } from './matches.ts';

export type RequestFilterConfig = RateLimitConfig | FaultConfig | SamplingConfig;

/** Of traces that begin here (Envoy `Tracing.random_sampling`). */
export interface SamplingConfig {
  readonly kind: 'sampling';
  readonly percent: number;
}

/** A token bucket (Envoy LocalRateLimit). */
export interface RateLimitConfig {
  readonly kind: 'rate-limit';
  /** Limits of the same name and figures share their buckets. */
  readonly name: string;
  /** Tokens that come in `perMs`. At least 1. */
  readonly requests: number;
  readonly perMs: number;
  /** Tokens of a full bucket. At least 1. */
  readonly burst: number;
  /** What has a bucket of its own, all of it together; empty: all requests share one. */
  readonly key: readonly RateLimitKeyConfig[];
}

export type RateLimitKeyConfig =
  | { readonly kind: 'identity' | 'address' }
  | { readonly kind: 'header'; readonly name: string }
  /** Null is a variable. Requests with another path are not limited. */
  | { readonly kind: 'path'; readonly segments: readonly (string | null)[] };

/** Envoy HTTPFault. */
export interface FaultConfig {
  readonly kind: 'fault';
  /** 0: none. */
  readonly delayMs: number;
  readonly delayPercent: number;
  /** 0: none. */
  readonly abortStatus: number;
  readonly abortPercent: number;
  /** Only requests that match all of them. */
  readonly headers: readonly ValueMatchConfig[];
}
