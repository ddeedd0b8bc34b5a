/**
 * Why a route does not take a request, said for people, by the same conditions that choose the route. Not on the path of a request.
 * Knows no other route.
 */
import type { StringMatchConfig, ValueMatchConfig } from '../config/matches.ts';
import type { HeaderList } from '../http/headers.ts';
import { matchesPath, matchesValue, queryValue } from './match.ts';
import { matchesField } from './route-index.ts';
import type { Route } from './route.ts';

const PATHS = { exact: 'exactly', prefix: 'beginning with', segments: 'at or below', regex: 'matching' } as const;

/**
 * The first condition that fails, in the order in which they are asked; null: all hold.
 * @param path with query
 */
export function whyNot(
  route: Route,
  authority: string,
  method: string,
  path: string,
  headers: HeaderList,
): string | null {
  const mark = path.indexOf('?');
  const bare = mark < 0 ? path : path.slice(0, mark);
  const { config } = route;
  if (!matchesPath(route.path, bare)) return `wants a path ${PATHS[config.path.kind]} ${config.path.value}`;
  for (const [i, matcher] of route.headers.entries()) {
    if (matchesField(matcher, authority, method, path, headers)) continue;
    const { name } = matcher;
    const given = name === ':method' ? [method] : name.startsWith(':') ? null : headers.getAll(name);
    return `wants ${conditionText(name === ':method' ? 'method' : `header ${name}`, config.headers[i]!)}${gotText(given)}`;
  }
  for (const [i, matcher] of route.query.entries()) {
    const value = queryValue(path, matcher.name);
    if (matchesValue(matcher, value)) continue;
    const wanted = conditionText(`query parameter ${matcher.name}`, config.query[i]!);
    return `wants ${wanted}${gotText(value === null ? [] : [value])}`;
  }
  return null;
}

/** `header x-beta = "1"`, `header x-beta present`. */
function conditionText(what: string, { match, invert }: ValueMatchConfig): string {
  if (match.kind === 'present') return `${what} ${match.present !== invert ? 'present' : 'absent'}`;
  return `${what} ${invert ? 'not ' : ''}${verb(match.kind)} ${JSON.stringify(match.value)}`;
}

function verb(kind: Exclude<StringMatchConfig['kind'], 'present'>): string {
  const verbs = {
    exact: '=',
    prefix: 'beginning with',
    suffix: 'ending with',
    contains: 'containing',
    regex: 'matching',
  };
  return verbs[kind];
}

function gotText(values: readonly string[] | null): string {
  if (values === null) return '';
  return values.length === 0 ? ', got none' : `, got ${values.map((value) => JSON.stringify(value)).join(', ')}`;
}
