/**
 * What the middle of a request sees of the places it can go to. This folder owns the interfaces; balancing and worker own the code.
 * Knows no socket.
 */
import type { PeakEwma } from '#base/ewma.ts';
import type { Random } from '#base/random.ts';
import type { Hash64 } from '#base/xx-hash.ts';
import type { EndpointConfig } from '../config/snapshot.ts';

/** An endpoint as a balancer sees it. */
export interface BalancedEndpoint {
  readonly config: EndpointConfig;
  /** Requests (or opaque connections) under way to it. */
  inFlight: number;
  readonly latency: PeakEwma;
  /** Clock time since which it can be picked: it was new, or came back. -Infinity: it was there before we knew. */
  readonly sinceMs: number;
  /** False while outlier detection keeps it out. */
  available: boolean;
  /** False while active health checks keep it out. */
  passing: boolean;
}

/**
 * The momentary choice among the endpoints of a cluster; replaced, never changed, when the set changes.
 */
export interface Picker<E extends BalancedEndpoint> {
  /** Every endpoint, available or not. */
  readonly endpoints: readonly E[];
  /**
   * An available endpoint, or null when there is none. Endpoints in `tried` are avoided while another is available (Envoy's `previous_hosts`).
   * Allocates nothing.
   * @param nowMs clock time in milliseconds
   * @param hash what of a request goes to the same endpoint; null: nothing. Only pickers by hash look at it
   */
  pick(nowMs: number, random: Random, tried: readonly E[], hash: Hash64 | null): E | null;
}
