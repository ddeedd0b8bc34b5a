/**
 * Where a request goes instead: its path and host rewritten, or a redirect that says so to the client.
 * Knows no backend. Meaning: Gateway API, HTTPPathModifier; how it is written: Envoy.
 */
import {
  RedirectAction,
  RedirectAction_RedirectResponseCode as Code,
  type RouteAction,
} from '#api/generated/envoy/config/route/v3/route.ts';
import type { RegexMatchAndSubstitute } from '#api/generated/envoy/type/matcher/v3/matcher.ts';
import type { PathMatch, PathRewrite, Redirect, Rewrite } from '../model/route.ts';
import { escapeRegex } from './route-matches.ts';

const STATUS: Readonly<Record<Redirect['status'], Code>> = {
  301: Code.MOVED_PERMANENTLY,
  302: Code.FOUND,
  303: Code.SEE_OTHER,
  307: Code.TEMPORARY_REDIRECT,
  308: Code.PERMANENT_REDIRECT,
};

type RewriteFields = Pick<RouteAction, 'prefixRewrite' | 'regexRewrite' | 'hostRewriteSpecifier'>;

/** @param path that the route matches */
export function rewriteFields(path: PathMatch, rewrite: Rewrite | null): Partial<RewriteFields> {
  if (rewrite === null) return {};
  const change = rewrite.path === null ? null : pathChange(path, rewrite.path);
  return {
    ...(rewrite.host !== '' && { hostRewriteSpecifier: { $case: 'hostRewriteLiteral', value: rewrite.host } }),
    ...(change?.$case === 'prefixRewrite' && { prefixRewrite: change.value }),
    ...(change?.$case === 'regexRewrite' && { regexRewrite: change.value }),
  };
}

/** @param path that the route matches */
export function redirectAction(
  path: PathMatch,
  { scheme, host, port, path: rewrite, status }: Redirect,
): RedirectAction {
  const change = rewrite === null || rewrite.kind === 'full' ? null : pathChange(path, rewrite);
  return RedirectAction.fromPartial({
    ...(scheme !== '' && { schemeRewriteSpecifier: { $case: 'schemeRedirect', value: scheme } }),
    hostRedirect: host,
    portRedirect: port,
    ...(rewrite?.kind === 'full' && { pathRewriteSpecifier: { $case: 'pathRedirect', value: rewrite.path } }),
    ...(change !== null && { pathRewriteSpecifier: change }),
    responseCode: STATUS[status],
  });
}

type PathChange =
  | { readonly $case: 'prefixRewrite'; readonly value: string }
  | { readonly $case: 'regexRewrite'; readonly value: RegexMatchAndSubstitute };

/**
 * `prefix_rewrite` puts a text in the place of what was matched and looks at no segment: `/a` to `/` would make `//b` of `/a/b`, and
 * `/` to `/x` would make `/xb` of `/b`. Null: the path stays.
 */
function pathChange(match: PathMatch, rewrite: PathRewrite): PathChange | null {
  if (rewrite.kind === 'full') {
    // A matched path is replaced whole; of what a prefix or an expression matched, the rest would stay.
    if (match.kind === 'exact') return { $case: 'prefixRewrite', value: rewrite.path };
    return substitution('^/.*$', rewrite.path);
  }
  if (match.value === rewrite.path) return null;
  if (match.value === '/') return { $case: 'prefixRewrite', value: `${rewrite.path}/` };
  if (rewrite.path === '/') return substitution(`^${escapeRegex(match.value)}/*`, '/');
  return { $case: 'prefixRewrite', value: rewrite.path };
}

/** In the replacement `\` begins a group's number (RE2). */
function substitution(regex: string, replacement: string): PathChange {
  return {
    $case: 'regexRewrite',
    value: { pattern: { regex }, substitution: replacement.replaceAll('\\', String.raw`\\`) },
  };
}
