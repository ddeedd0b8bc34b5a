/**
 * The routes of one virtual host, so that a path meets only those that can match it. Declared order decides, as in a plain list.
 * Every route stands in one list: by its exact path, by its prefix, or among the rest; each list is in declared order, so its
 * first match is its best one, and it is left as soon as a better route is known.
 */
import type { HeaderList } from '../http/headers.ts';
import { matchesHeader, matchesPath, matchesValue, queryValue, type ValueMatcher } from './match.ts';
import type { Route } from './route.ts';

/** Up to so many routes a plain walk is the fastest. */
const WALK = 8;

export class RouteIndex {
  readonly #exact = new Map<string, Route[]>();
  /** By prefixes of whole segments: found at the slashes of a path. */
  readonly #segments = new Map<string, Route[]>();
  /** By plain prefixes: found by trying each of their lengths. */
  readonly #prefixes = new Map<string, Route[]>();
  readonly #prefixLengths: readonly number[];
  /** All, when they are few; else the regular expressions. */
  readonly #rest: Route[] = [];
  /** Longest key in `#segments`: bounds the work that a path with very many slashes can cause. */
  #longest = 0;

  /** @param routes in declared order */
  constructor(routes: readonly Route[]) {
    for (const route of routes) {
      if (routes.length <= WALK) this.#rest.push(route);
      else this.#place(route);
    }
    this.#prefixLengths = [...new Set(Array.from(this.#prefixes.keys(), (key) => key.length))];
  }

  /** The first route, in declared order, whose every condition holds. `path` is with query. */
  find(authority: string, method: string, path: string, headers: HeaderList): Route | null {
    const bare = withoutQuery(path);
    let best = firstMatch(this.#rest, null, bare, authority, method, path, headers);
    if (this.#exact.size > 0) {
      best = firstMatch(this.#exact.get(bare), best, bare, authority, method, path, headers);
    }
    for (const length of this.#prefixLengths) {
      if (length > bare.length) continue;
      best = firstMatch(this.#prefixes.get(bare.slice(0, length)), best, bare, authority, method, path, headers);
    }
    if (this.#segments.size === 0) return best;
    for (let end = bare.indexOf('/', 1); end >= 0 && end <= this.#longest; end = bare.indexOf('/', end + 1)) {
      best = firstMatch(this.#segments.get(bare.slice(0, end)), best, bare, authority, method, path, headers);
    }
    if (bare.length > this.#longest) return best;
    return firstMatch(this.#segments.get(bare), best, bare, authority, method, path, headers);
  }

  #place(route: Route): void {
    const { kind, value } = route.path;
    if (kind === 'exact') append(this.#exact, value, route);
    else if (kind === 'prefix' || value === '') append(this.#prefixes, value, route);
    else if (kind === 'regex' || !value.startsWith('/')) this.#rest.push(route);
    else {
      append(this.#segments, value, route);
      this.#longest = Math.max(this.#longest, value.length);
    }
  }
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
    if (!matchesField(matcher, authority, method, path, headers)) return false;
  }
  for (const matcher of route.query) {
    if (!matchesValue(matcher, queryValue(path, matcher.name))) return false;
  }
  return true;
}

/** Pseudo-headers included. `path` is with query. */
export function matchesField(
  matcher: ValueMatcher,
  authority: string,
  method: string,
  path: string,
  headers: HeaderList,
): boolean {
  switch (matcher.name) {
    case ':method':
      return matchesValue(matcher, method);
    case ':path':
      return matchesValue(matcher, path);
    case ':authority':
    case 'host':
      return matchesValue(matcher, authority);
    default:
      return matchesHeader(matcher, headers);
  }
}
