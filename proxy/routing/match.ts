/**
 * One condition of a route, compiled: a path, a header or a query parameter. Meaning as in Envoy's `RouteMatch`.
 * Knows no order of routes.
 */
import { linearRegex } from '#base/regex.ts';
import type { PathMatchConfig, StringMatchConfig, ValueMatchConfig } from '../config/matches.ts';
import type { HeaderList } from '../http/headers.ts';

/** `value` of a whole-segments prefix has no slash at its end, so that `/a/` and `/a` mean the same (Gateway API PathPrefix). */
export interface PathMatcher {
  readonly kind: PathMatchConfig['kind'];
  readonly value: string;
  readonly regex: RegExp | null;
}

export interface ValueMatcher {
  readonly name: string;
  readonly kind: StringMatchConfig['kind'];
  /** Lower-case when the case does not count. */
  readonly value: string;
  readonly ignoreCase: boolean;
  readonly present: boolean;
  readonly regex: RegExp | null;
  readonly invert: boolean;
}

export function linkPath(config: PathMatchConfig): PathMatcher {
  const { kind } = config;
  const value = kind === 'segments' && config.value.endsWith('/') ? config.value.slice(0, -1) : config.value;
  return { kind, value, regex: kind === 'regex' ? compile(value) : null };
}

export function linkValue(config: ValueMatchConfig): ValueMatcher {
  const { name, match, invert } = config;
  const ignoreCase = 'ignoreCase' in match && match.ignoreCase;
  const value = 'value' in match ? match.value : '';
  return {
    name,
    kind: match.kind,
    value: ignoreCase ? value.toLowerCase() : value,
    ignoreCase,
    present: match.kind === 'present' && match.present,
    regex: match.kind === 'regex' ? compile(value) : null,
    invert,
  };
}

/** Decode has let only good expressions through, so a bad one here is our own mistake. */
function compile(source: string): RegExp {
  const regex = linearRegex(source);
  if (!regex.ok) throw new Error(`regular expression ${JSON.stringify(source)} ${regex.error}`);
  return regex.value;
}

/** @param path without query */
export function matchesPath(matcher: PathMatcher, path: string): boolean {
  const { value } = matcher;
  switch (matcher.kind) {
    case 'exact':
      return path === value;
    case 'prefix':
      return path.startsWith(value);
    case 'segments':
      return path.startsWith(value) && (path.length === value.length || path.charCodeAt(value.length) === 0x2f);
    case 'regex':
      return matcher.regex!.test(path);
  }
}

/**
 * A value that is missing matches nothing but `present: false`, inverted or not
 * (Envoy without `treat_missing_header_as_empty`; gRPC agrees).
 * @param value null: there is none
 */
export function matchesValue(matcher: ValueMatcher, value: string | null): boolean {
  if (matcher.kind === 'present') return ((value !== null) === matcher.present) !== matcher.invert;
  return value !== null && matchesText(matcher, value) !== matcher.invert;
}

function matchesText(matcher: ValueMatcher, received: string): boolean {
  const text = matcher.ignoreCase ? received.toLowerCase() : received;
  switch (matcher.kind) {
    case 'exact':
      return text === matcher.value;
    case 'prefix':
      return text.startsWith(matcher.value);
    case 'suffix':
      return text.endsWith(matcher.value);
    case 'contains':
      return text.includes(matcher.value);
    case 'regex':
      return matcher.regex!.test(text);
    case 'present':
      return true;
  }
}

/**
 * Any one of a header's values, each for itself, satisfies the condition, and an inverted one is met when none does. So does Envoy 1.40;
 * older ones joined the values with commas, which let a second value hide the first.
 */
export function matchesHeader(matcher: ValueMatcher, headers: HeaderList): boolean {
  const { fields } = headers;
  let given = false;
  for (let i = 0; i < fields.length; i += 2) {
    if (fields[i] !== matcher.name) continue;
    given = true;
    if (matcher.kind !== 'present' && matchesText(matcher, fields[i + 1]!)) return !matcher.invert;
  }
  if (matcher.kind === 'present') return (given === matcher.present) !== matcher.invert;
  return given && matcher.invert;
}

/**
 * First value of a query parameter as it stands in the path, nothing decoded (Envoy `QueryParameterMatcher`); null: there is none.
 * @param path with query
 */
export function queryValue(path: string, name: string): string | null {
  let start = path.indexOf('?') + 1;
  while (start > 0) {
    const end = path.indexOf('&', start);
    const stop = end < 0 ? path.length : end;
    if (path.startsWith(name, start)) {
      const after = start + name.length;
      if (after === stop) return '';
      if (path.charCodeAt(after) === 0x3d) return path.slice(after + 1, stop);
    }
    start = end < 0 ? 0 : end + 1;
  }
  return null;
}
