/** CORS of a route as Envoy's filter has it (`envoy.filters.http.cors`). Knows no route. */
import { CorsPolicy as CorsMessage } from '#api/generated/envoy/extensions/filters/http/cors/v3/cors.ts';
import type { StringMatcher } from '#api/generated/envoy/type/matcher/v3/matcher.ts';
import type { Any } from '#api/generated/google/protobuf/any.ts';
import { EXTENSION, HTTP_FILTER } from '#api/names.ts';
import type { CorsPolicy } from '../model/cors.ts';
import { pack } from './messages.ts';
import { escapeRegex } from './route-matches.ts';

/** An entry of `typed_per_filter_config`. */
export function corsConfig(cors: CorsPolicy | null): Readonly<Record<string, Any>> {
  if (cors === null) return {};
  const message = CorsMessage.fromPartial({
    allowOriginStringMatch: cors.origins.map(originMatcher),
    allowMethods: cors.methods.join(', '),
    allowHeaders: cors.headers.join(', '),
    exposeHeaders: cors.expose.join(', '),
    maxAge: String(cors.maxAgeSeconds),
    allowCredentials: cors.credentials,
    forwardNotMatchingPreflights: false,
  });
  return { [HTTP_FILTER.cors]: pack(EXTENSION.corsPolicy, CorsMessage, message) };
}

function originMatcher(origin: string): StringMatcher {
  if (!origin.includes('*')) return { matchPattern: { $case: 'exact', value: origin }, ignoreCase: false };
  // Everybody, whatever the port; else a star is within the host.
  const regex = origin === '*' ? '.*' : escapeRegex(origin).replace(String.raw`\*`, '[^/:]+');
  return { matchPattern: { $case: 'safeRegex', value: { regex } }, ignoreCase: false };
}
