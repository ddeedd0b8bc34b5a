/** What a route matches, as Envoy and gRPC write it. Knows no action. */
import { RouteMatch } from '#api/generated/envoy/config/route/v3/route.ts';
import type { StringMatcher } from '#api/generated/envoy/type/matcher/v3/matcher.ts';
import type { PathMatch, RouteMatch as Match, ValueMatch } from '../model/route.ts';
import type { Dialect } from './client.ts';

export function routeMatch({ path, headers, query, method }: Match, dialect: Dialect): RouteMatch {
  const methods: ValueMatch[] = method === '' ? [] : [{ kind: 'exact', name: ':method', value: method }];
  return RouteMatch.fromPartial({
    pathSpecifier: pathSpecifier(path, dialect),
    headers: [...methods, ...headers].map((header) => ({
      name: header.name,
      headerMatchSpecifier: { $case: 'stringMatch', value: stringMatcher(header) },
    })),
    queryParameters: query.map((parameter) => ({
      name: parameter.name,
      queryParameterMatchSpecifier: { $case: 'stringMatch', value: stringMatcher(parameter) },
    })),
  });
}

function pathSpecifier({ kind, value }: PathMatch, dialect: Dialect): NonNullable<RouteMatch['pathSpecifier']> {
  if (kind === 'exact') return { $case: 'path', value };
  if (kind === 'regex') return { $case: 'safeRegex', value: { regex: value } };
  if (value === '/') return { $case: 'prefix', value };
  // gRPC knows no prefix of whole segments (gRFC A28).
  if (dialect === 'grpc') return { $case: 'safeRegex', value: { regex: `${escapeRegex(value)}(/.*)?` } };
  return { $case: 'pathSeparatedPrefix', value };
}

/** A text that matches itself, in RE2 and in JavaScript. `RegExp.escape` would be right too, and unreadable: it writes most characters as numbers. */
export function escapeRegex(text: string): string {
  return text.replaceAll(/[\\^$.*+?()[\]{}|]/g, String.raw`\$&`);
}

function stringMatcher({ kind, value }: ValueMatch): StringMatcher {
  const matchPattern =
    kind === 'exact'
      ? ({ $case: 'exact', value } as const)
      : ({ $case: 'safeRegex', value: { regex: value } } as const);
  return { matchPattern, ignoreCase: false };
}
