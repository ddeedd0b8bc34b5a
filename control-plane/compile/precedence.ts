/**
 * Which of several matches comes first. Ranks are compared number by number, the lower first; then the older route, then the
 * alphabetical order of `namespace/name`, then the order in the route. Knows no action.
 */
import type { GrpcRouteMatch } from '../kinds/grpc-route.ts';
import type { KubeObject } from '../kinds/meta.ts';
import type { PathMatch, RouteMatch } from '../model/route.ts';
import { byAge } from './conditions.ts';

export interface Ranked {
  readonly rank: readonly number[];
  readonly source: KubeObject;
}

const PATH_RANK: Readonly<Record<PathMatch['kind'], number>> = { exact: 0, regex: 1, prefix: 2 };

/**
 * Gateway API, HTTPRouteRule.matches: exact path, then longest prefix, method, most headers, most query parameters.
 * Where the specification leaves it open, a regular expression stands between exact path and prefix.
 */
export function httpRank({ path, method, headers, query }: RouteMatch): readonly number[] {
  return [PATH_RANK[path.kind], -path.value.length, method === '' ? 1 : 0, -headers.length, -query.length];
}

/** Gateway API, GRPCRouteRule.matches: most characters in the service, then in the method, then most headers. Exact names stand before expressions. */
export function grpcRank({ method, headers }: GrpcRouteMatch): readonly number[] {
  const isRegex = method?.type === 'RegularExpression' ? 1 : 0;
  const isAny = method === null ? 1 : 0;
  return [isAny, isRegex, -(method?.service.length ?? 0), -(method?.method.length ?? 0), -headers.length];
}

/** Negative when `a` goes first; 0 only for two matches of one route, whose order stays. */
export function byPrecedence(a: Ranked, b: Ranked): number {
  for (const [i, rank] of a.rank.entries()) {
    const difference = rank - (b.rank[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return byAge(a.source, b.source);
}
