/**
 * A route, linked: its conditions compiled, its weights summed up. Linked once a snapshot, shared by all requests.
 * Knows no other route.
 */
import type { Random } from '#base/random.ts';
import type { RouteConfig, WeightedClusterConfig } from '../config/snapshot.ts';
import { linkPath, linkValue, type PathMatcher, type ValueMatcher } from './match.ts';

export interface Route {
  readonly config: RouteConfig;
  /** Place in the virtual host; the lowest that matches counts. */
  readonly order: number;
  readonly path: PathMatcher;
  readonly headers: readonly ValueMatcher[];
  readonly query: readonly ValueMatcher[];
  /** Empty unless the route forwards. */
  readonly clusters: readonly WeightedClusterConfig[];
  /** Sum of the weights of `clusters` up to and with each. */
  readonly bounds: readonly number[];
}

export function linkRoute(config: RouteConfig, order: number): Route {
  const clusters = config.action.kind === 'forward' ? config.action.clusters : [];
  const bounds: number[] = [];
  let sum = 0;
  for (const { weight } of clusters) bounds.push((sum += weight));
  return {
    config,
    order,
    path: linkPath(config.path),
    headers: config.headers.map(linkValue),
    query: config.query.map(linkValue),
    clusters,
    bounds,
  };
}

/**
 * One of the clusters of a route, with a chance in proportion to its weight.
 * Null when the route does not forward or all weights are 0 (Gateway API: answered with 500).
 */
export function chooseCluster(route: Route, random: Random): WeightedClusterConfig | null {
  const { clusters, bounds } = route;
  if (clusters.length === 1) return bounds[0]! > 0 ? clusters[0]! : null;
  const point = random() * (bounds.at(-1) ?? 0);
  for (let index = 0; index < bounds.length; index++) {
    if (point < bounds[index]!) return clusters[index]!;
  }
  return null;
}
