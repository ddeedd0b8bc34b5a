/**
 * Which of several matches comes first: Gateway API, HTTPRouteRule.matches. Exact path, then longest prefix, method, most headers,
 * most query parameters; then the older route, then the alphabetical order of `namespace/name`, then the order in the route.
 * Knows no action. Where the specification leaves it open, a regular expression stands between exact path and prefix.
 */
import type { HttpRoute } from '../kinds/http-route.ts';
import type { PathMatch, RouteMatch } from '../model/route.ts';
import { byAge } from './conditions.ts';

export interface Ranked {
  readonly match: RouteMatch;
  readonly source: HttpRoute;
}

const PATH_RANK: Readonly<Record<PathMatch['kind'], number>> = { exact: 0, regex: 1, prefix: 2 };

/** Negative when `a` goes first; 0 only for two matches of one route, whose order stays. */
export function byPrecedence(a: Ranked, b: Ranked): number {
  const [x, y] = [a.match, b.match];
  return (
    PATH_RANK[x.path.kind] - PATH_RANK[y.path.kind] ||
    y.path.value.length - x.path.value.length ||
    Number(y.method !== '') - Number(x.method !== '') ||
    y.headers.length - x.headers.length ||
    y.query.length - x.query.length ||
    byAge(a.source, b.source)
  );
}
