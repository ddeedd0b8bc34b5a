/**
 * The routes of one virtual host, so that a path meets only those that can match it. Declared order decides, as in a plain list.
 * Every route stands in one list: by its exact path, by the whole segments that its prefix begins with, or among the rest; each list
 * is in declared order, so its first match is its best one, and it is left as soon as a better route is known.
 */
import type { HeaderList } from '../http/headers.ts';
import { joinedHeader, matchesPath, matchesValue, queryValue, type PathMatcher } from './match.ts';
import type { Route } from './route.ts';

/** Up to so many routes a plain walk is the fastest. */
const WALK = 8;

export class RouteIndex {
  readonly #exact = new Map<string, Route[]>();
  readonly #segments = new Map<string, Route[]>();
  readonly #rest: Route[] = [];
  /** Longest key in `#segments`: bounds the work that a path with very many slashes can cause. */
  #longest = 0;

  /** @param routes in declared order */
  constructor(routes: readonly Route[]) {
    for (const route of routes) {
      if (routes.length <= WALK) this.#rest.push(route);
      else this.#place(route);
    }
  }

  /** The first route, in declared order, whose every condition holds. `path` is with query. */
  find(authority: string, method: string, path: string, headers: HeaderList): Route | null {
    const bare = withoutQuery(path);
    let best = firstMatch(this.#exact.get(bare), null, bare, authority, method, path, headers);
    best = firstMatch(this.#rest, best, bare, authority, method, path, headers);
    if (this.#segments.size === 0) return best;
    for (let end = bare.indexOf('/', 1); end >= 0 && end <= this.#longest; end = bare.indexOf('/', end + 1)) {
      best = firstMatch(this.#segments.get(bare.slice(0, end)), best, bare, authority, method, path, headers);
    }
    if (bare.length > this.#longest) return best;
    return firstMatch(this.#segments.get(bare), best, bare, authority, method, path, headers);
  }

  #place(route: Route): void {
    const { kind, value } = route.path;
    const segments = wholeSegments(route.path);
    if (kind === 'exact') append(this.#exact, value, route);
    else if (segments === '') this.#rest.push(route);
    else {
      append(this.#segments, segments, route);
      this.#longest = Math.max(this.#longest, segments.length);
    }
  }
}

/** The part of a prefix that a path must have as whole segments: of the plain prefix `/api/v1` it is `/api`, for `/api/v12` matches too. */
function wholeSegments(path: PathMatcher): string {
  if (!path.value.startsWith('/')) return '';
  if (path.kind === 'segments') return path.value;
  return path.kind === 'prefix' ? path.value.slice(0, path.value.lastIndexOf('/')) : '';
}

function append(lists: Map<string, Route[]>, key: string, route: Route): void {
  const list = lists.get(key);
  if (list === undefined) lists.set(key, [route]);
  else list.push(route);
}

function withoutQuery(path: string): string {
  const mark = path.indexOf('?');
  return mark < 0 ? path : path.slice(0, mark);
}

function firstMatch(
  routes: readonly Route[] | undefined,
  best: Route | null,
  bare: string,
  authority: string,
  method: string,
  path: string,
  headers: HeaderList,
): Route | null {
  if (routes === undefined) return best;
  for (const route of routes) {
    if (best !== null && route.order > best.order) return best;
    if (matchesRoute(route, bare, authority, method, path, headers)) return route;
  }
  return best;
}

function matchesRoute(
  route: Route,
  bare: string,
  authority: string,
  method: string,
  path: string,
  headers: HeaderList,
): boolean {
  if (!matchesPath(route.path, bare)) return false;
  for (const matcher of route.headers) {
    if (!matchesValue(matcher, headerOrPseudo(matcher.name, authority, method, path, headers))) return false;
  }
  for (const matcher of route.query) {
    if (!matchesValue(matcher, queryValue(path, matcher.name))) return false;
  }
  return true;
}

function headerOrPseudo(
  name: string,
  authority: string,
  method: string,
  path: string,
  headers: HeaderList,
): string | null {
  switch (name) {
    case ':method':
      return method;
    case ':path':
      return path;
    case ':authority':
    case 'host':
      return authority;
    default:
      return joinedHeader(headers, name);
  }
}
