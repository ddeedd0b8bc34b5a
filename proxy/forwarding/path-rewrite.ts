/**
 * The path that a route gives a request, in a forward or in the location of a redirect. The query stays.
 * Pure; knows no head and no stream.
 */
import { linearSearch } from '#base/regex.ts';
import type { PathMatchConfig } from '../config/matches.ts';
import type { RegexRewriteConfig } from '../config/snapshot.ts';

interface PathRewrite {
  /** Empty: none. */
  readonly prefixRewrite: string;
  readonly regexRewrite?: RegexRewriteConfig;
}

/**
 * Envoy `prefix_rewrite` puts its text in the place of what was matched; after an expression it means nothing. `regex_rewrite` replaces
 * every part of the path that matches.
 * @param path with query
 */
export function rewrittenPath(path: string, matched: PathMatchConfig, rewrite: PathRewrite): string {
  if (rewrite.regexRewrite !== undefined) {
    const query = path.indexOf('?');
    const end = query < 0 ? path.length : query;
    return replaceMatches(path.slice(0, end), rewrite.regexRewrite) + path.slice(end);
  }
  if (rewrite.prefixRewrite === '' || matched.kind === 'regex') return path;
  return rewrite.prefixRewrite + path.slice(matched.value.length);
}

/** Compiled at the first request that needs it: a snapshot holds plain data only. */
const compiled = new WeakMap<RegexRewriteConfig, RegExp>();

function replaceMatches(text: string, rewrite: RegexRewriteConfig): string {
  let regex = compiled.get(rewrite);
  if (regex === undefined) {
    const made = linearSearch(rewrite.regex);
    if (!made.ok) throw new Error(`a rewrite that decoding should have refused: ${made.error}`);
    compiled.set(rewrite, (regex = made.value));
  }
  return text.replace(regex, (...groups: readonly unknown[]) =>
    rewrite.substitution.replaceAll(/\\(.)/g, (_, mark: string) =>
      mark === '\\' ? mark : groupText(groups[Number(mark)]),
    ),
  );
}

/** A group that took no part is empty. Decoding has seen to it that there is such a group. */
function groupText(group: unknown): string {
  return typeof group === 'string' ? group : '';
}
