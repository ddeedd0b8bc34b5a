/**
 * The part of a snapshot that says how an endpoint of a cluster is chosen. Plain data, like the rest of it.
 */
export type BalancerConfig =
  | {
      readonly kind: 'peak-ewma';
      readonly defaultRttMs: number;
      readonly decayMs: number;
      readonly slowStart?: SlowStartConfig;
    }
  | { readonly kind: 'least-request' | 'round-robin'; readonly slowStart?: SlowStartConfig }
  | { readonly kind: 'random' }
  | {
      readonly kind: 'ring-hash';
      readonly hashOn: readonly HashKeyConfig[];
      readonly minSize: number;
      readonly maxSize: number;
    }
  | { readonly kind: 'maglev'; readonly hashOn: readonly HashKeyConfig[]; readonly tableSize: number };

/** A new endpoint gets a growing part of its share (Envoy `SlowStartConfig`). */
export interface SlowStartConfig {
  readonly windowMs: number;
  /** 1: in proportion to its age; more: faster at first. */
  readonly aggression: number;
  /** Part of the share that it has from the start. */
  readonly minPercent: number;
}

/** What is hashed of a request (Envoy `RouteAction.HashPolicy`); a request without it goes on with the next. */
export interface HashKeyConfig {
  readonly kind: 'header' | 'cookie' | 'query' | 'address';
  /** Of a header in lower case; empty for `address`. */
  readonly name: string;
  /** When it is there, nothing after it is hashed. */
  readonly terminal: boolean;
}
