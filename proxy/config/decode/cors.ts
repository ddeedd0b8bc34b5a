/** CORS of a route (`envoy.filters.http.cors` in `typed_per_filter_config`). Decides nothing. */
import type { CorsPolicy } from '#api/generated/envoy/extensions/filters/http/cors/v3/cors.ts';
import type { Problems } from '#base/problems.ts';
import type { CorsConfig } from '../snapshot.ts';
import { decodeString } from './match.ts';
import { at } from './unsupported.ts';

export function decodeCors(policy: CorsPolicy, path: string, problems: Problems): CorsConfig {
  return {
    origins: policy.allowOriginStringMatch.map((matcher, i) =>
      decodeString(matcher, at(path, `allow_origin_string_match[${i}]`), problems),
    ),
    credentials: policy.allowCredentials === true,
    methods: policy.allowMethods,
    headers: policy.allowHeaders,
    expose: policy.exposeHeaders,
    maxAge: policy.maxAge,
    // Envoy's default is to pass them on.
    forwardsUnknown: policy.forwardNotMatchingPreflights !== false,
  };
}
