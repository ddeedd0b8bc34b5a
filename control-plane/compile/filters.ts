/**
 * Filters of a rule or of one of its backends: header changes, rewriting, redirecting, and what in them cannot be done.
 * Knows no backend and no match.
 */
import { PROXY_FIELDS } from '#api/proxy-fields.ts';
import type {
  HttpRouteFilter,
  Mirror as MirrorSpec,
  PathModifier,
  Redirect as RedirectSpec,
} from '../kinds/route-filters.ts';
import type { CorsPolicy } from '../model/cors.ts';
import type { HeaderChange, PathRewrite, Redirect, Rewrite } from '../model/route.ts';

/** RFC 9110 5.5, without obs-text. */
const VISIBLE = /^[\x21-\x7e](?:[\t\x20-\x7e]*[\x21-\x7e])?$/;

/** RFC 3986 3.3: what a path may hold, and nothing of a query. */
const PATH_CHARACTERS = /^(?:[-\w.~!$&'()*+,;=:@/]|%[0-9a-fA-F]{2})*$/;

/** What cannot be done, in sentences with the path of the field. `level`: filters that change where a request goes are for rules only. */
export function filterProblems(filters: readonly HttpRouteFilter[], path: string, level: 'rule' | 'backend'): string[] {
  return filters.flatMap((filter, i) => {
    const where = `${path}[${i}]`;
    switch (filter.type) {
      case 'unsupported':
        return [`${where}: filter ${filter.name} is not supported`];
      case 'RequestHeaderModifier':
      case 'ResponseHeaderModifier':
        return modifierProblems(filter.modifier, where);
      case 'RequestMirror':
        return level === 'backend' ? [`${where}: filter RequestMirror is not supported on a backendRef`] : [];
      case 'CORS':
        return level === 'backend' ? [`${where}: filter CORS is not supported on a backendRef`] : [];
      case 'RequestRedirect':
      case 'URLRewrite':
        if (level === 'backend') return [`${where}: filter ${filter.type} is not supported on a backendRef`];
        return pathProblems(filter.type === 'URLRewrite' ? filter.rewrite.path : filter.redirect.path, where);
    }
  });
}

function modifierProblems({ set, add, remove }: HeaderModifierSpec, where: string): string[] {
  const names = [...set.map((h) => h.name), ...add.map((h) => h.name), ...remove];
  return [
    ...names.filter(isProxyField).map((name) => `${where}: header ${name} cannot be changed`),
    ...[...set, ...add]
      .filter(({ value }) => !VISIBLE.test(value))
      .map(({ name }) => `${where}: the value of header ${name} must be visible ASCII without space at its ends`),
  ];
}

type HeaderModifierSpec = Extract<HttpRouteFilter, { readonly type: 'RequestHeaderModifier' }>['modifier'];

function isProxyField(name: string): boolean {
  return name.startsWith(':') || PROXY_FIELDS.has(name.toLowerCase());
}

function pathProblems(path: PathModifier | null, where: string): string[] {
  if (path === null || PATH_CHARACTERS.test(path.value)) return [];
  const field = path.type === 'ReplaceFullPath' ? 'replaceFullPath' : 'replacePrefixMatch';
  return [`${where}: ${field} must be a path, percent-encoded and without query`];
}

export function headerChange(
  filters: readonly HttpRouteFilter[],
  type: 'RequestHeaderModifier' | 'ResponseHeaderModifier',
): HeaderChange | null {
  const modifiers = filters.flatMap((filter) => (filter.type === type ? [filter.modifier] : []));
  if (modifiers.length === 0) return null;
  return {
    set: modifiers.flatMap((m) => m.set.map(headerPair)),
    add: modifiers.flatMap((m) => m.add.map(headerPair)),
    remove: modifiers.flatMap((m) => m.remove.map((name) => name.toLowerCase())),
  };
}

function headerPair({ name, value }: { readonly name: string; readonly value: string }): [string, string] {
  return [name.toLowerCase(), value];
}

export function rewriteOf(filters: readonly HttpRouteFilter[]): Rewrite | null {
  const found = filters.find((filter) => filter.type === 'URLRewrite');
  if (found === undefined) return null;
  const { hostname, path } = found.rewrite;
  return hostname === '' && path === null ? null : { host: hostname, path: pathRewrite(path) };
}

/** The backends that get copies, as written. */
export function mirrorsOf(filters: readonly HttpRouteFilter[]): readonly MirrorSpec[] {
  return filters.flatMap((filter) => (filter.type === 'RequestMirror' ? [filter.mirror] : []));
}

export function corsOf(filters: readonly HttpRouteFilter[]): CorsPolicy | null {
  const found = filters.find((filter) => filter.type === 'CORS');
  if (found === undefined) return null;
  const { allowOrigins, allowCredentials, allowMethods, allowHeaders, exposeHeaders, maxAge } = found.cors;
  return {
    // Browsers leave the scheme's own port out of `Origin` (RFC 6454 6.2).
    origins: allowOrigins.map((origin) => origin.toLowerCase().replace(/^(https:.*):443$|^(http:.*):80$/, '$1$2')),
    credentials: allowCredentials,
    methods: allowMethods,
    headers: allowHeaders,
    expose: exposeHeaders,
    maxAgeSeconds: maxAge,
  };
}

/** The redirect as written; where it leads depends on the port that is asked. */
export function redirectOf(filters: readonly HttpRouteFilter[]): RedirectSpec | null {
  return filters.find((filter) => filter.type === 'RequestRedirect')?.redirect ?? null;
}

/**
 * Gateway API, HTTPRequestRedirectFilter.port: the port given, else that of the scheme given, else the one asked. It is not written
 * where the scheme says it already.
 * @param askedPort of the Service
 */
export function redirectFrom(askedPort: number, { scheme, hostname, path, port, status }: RedirectSpec): Redirect {
  // A sidecar takes plaintext from its application: what comes without scheme is http.
  const known = scheme === 'https' ? 443 : 80;
  const wanted = port ?? (scheme === '' ? askedPort : known);
  // Proxies take the asked port over with the host unless another is written; at 80 they know by themselves that https has none.
  const isImplied = wanted === known && (hostname !== '' || askedPort === 80);
  return { scheme, host: hostname, path: pathRewrite(path), port: isImplied ? 0 : wanted, status };
}

function pathRewrite(path: PathModifier | null): PathRewrite | null {
  if (path === null) return null;
  const absolute = `/${path.value.replace(/^\/+/, '')}`;
  if (path.type === 'ReplaceFullPath') return { kind: 'full', path: absolute };
  return { kind: 'prefix', path: absolute.replace(/(?<=.)\/+$/, '') };
}
