/**
 * `RouteMatch` and its string matchers. Knows no action.
 * Constraints are those of Envoy's route_components.proto and string.proto.
 */
import type { HeaderMatcher, QueryParameterMatcher, RouteMatch } from '#api/generated/envoy/config/route/v3/route.ts';
import type { RegexMatcher, StringMatcher } from '#api/generated/envoy/type/matcher/v3/matcher.ts';
import type { Problems } from '#base/problems.ts';
import { linearRegex } from '#base/regex.ts';
import type { PathMatchConfig, StringMatchConfig, ValueMatchConfig } from '../matches.ts';
import type { RouteConfig } from '../snapshot.ts';
import { at, refuse } from './unsupported.ts';

/** RFC 9110 5.6.2. */
export const TOKEN = /^[!#$%&'*+\-.^_`|~\dA-Za-z]+$/;

const PRESENT: StringMatchConfig = { kind: 'present', present: true };

export type MatchConfig = Pick<RouteConfig, 'path' | 'headers' | 'query'>;

export function decodeMatch(match: RouteMatch | undefined, path: string, problems: Problems): MatchConfig {
  return {
    path: decodePath(match?.pathSpecifier, path, problems),
    headers: (match?.headers ?? []).map((h, i) => decodeHeader(h, `${path}.headers[${i}]`, problems)),
    query: (match?.queryParameters ?? []).map((q, i) => decodeQuery(q, `${path}.query_parameters[${i}]`, problems)),
  };
}

function decodePath(specifier: RouteMatch['pathSpecifier'], path: string, problems: Problems): PathMatchConfig {
  switch (specifier?.$case) {
    case 'prefix':
      return { kind: 'prefix', value: specifier.value };
    case 'path':
      return { kind: 'exact', value: specifier.value };
    case 'safeRegex':
      return { kind: 'regex', value: decodeRegex(specifier.value, at(path, 'safe_regex'), problems) };
    case 'pathSeparatedPrefix':
      if (!/^\/[^?#]*[^/?#]$/.test(specifier.value)) {
        problems.add(at(path, 'path_separated_prefix'), 'must begin with / and not end with it, without ? and #');
      }
      return { kind: 'segments', value: specifier.value };
    case undefined:
      problems.add(path, 'no path_specifier set', 'set prefix, path, safe_regex or path_separated_prefix');
      return { kind: 'prefix', value: '' };
  }
}

/** The expression, checked; matching compiles it once more, for a snapshot holds plain data only. */
function decodeRegex(matcher: RegexMatcher, path: string, problems: Problems): string {
  const checked = linearRegex(matcher.regex);
  if (matcher.regex === '') problems.add(path, 'must not be empty');
  else if (!checked.ok) problems.add(path, checked.error, 'write it in the syntax of RE2');
  return matcher.regex;
}

export function decodeHeader(matcher: HeaderMatcher, path: string, problems: Problems): ValueMatchConfig {
  const name = matcher.name.toLowerCase();
  if (name.startsWith(':') && name !== ':method') refuse(problems, at(path, 'name'), name, 'header names and :method');
  else if (name !== ':method' && !TOKEN.test(name)) problems.add(at(path, 'name'), 'must be a header name');
  if (matcher.treatMissingHeaderAsEmpty) {
    refuse(problems, at(path, 'treat_missing_header_as_empty'), 'treating a missing header as empty');
  }
  return { name, match: decodeValue(matcher.headerMatchSpecifier, path, problems), invert: matcher.invertMatch };
}

function decodeQuery(matcher: QueryParameterMatcher, path: string, problems: Problems): ValueMatchConfig {
  if (matcher.name === '' || matcher.name.length > 1024)
    problems.add(at(path, 'name'), 'must have 1 to 1024 characters');
  const match = decodeValue(matcher.queryParameterMatchSpecifier, path, problems);
  return { name: matcher.name, match, invert: false };
}

type ValueSpecifier = HeaderMatcher['headerMatchSpecifier'] | QueryParameterMatcher['queryParameterMatchSpecifier'];

/** Without a specifier, presence is asked for (Envoy `HeaderMatcher`). */
function decodeValue(specifier: ValueSpecifier, path: string, problems: Problems): StringMatchConfig {
  if (specifier === undefined) return PRESENT;
  if (specifier.$case === 'presentMatch') return { kind: 'present', present: specifier.value };
  return decodeString(specifier.value, at(path, 'string_match'), problems);
}

export function decodeString(matcher: StringMatcher, path: string, problems: Problems): StringMatchConfig {
  const pattern = matcher.matchPattern;
  if (pattern === undefined) {
    problems.add(path, 'no match_pattern set', 'set exact, prefix, suffix, contains or safe_regex');
    return PRESENT;
  }
  // `ignore_case` has no effect on expressions (Envoy `StringMatcher`).
  if (pattern.$case === 'safeRegex') {
    return { kind: 'regex', value: decodeRegex(pattern.value, at(path, 'safe_regex'), problems) };
  }
  if (pattern.$case !== 'exact' && pattern.value === '') problems.add(at(path, pattern.$case), 'must not be empty');
  return { kind: pattern.$case, value: pattern.value, ignoreCase: matcher.ignoreCase };
}
