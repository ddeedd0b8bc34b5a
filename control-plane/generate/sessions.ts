/** Sessions of a route as Envoy's filter has them (`envoy.filters.http.stateful_session`), and what it has no field for. Knows no endpoint. */
import { StatefulSessionPerRoute } from '#api/generated/envoy/extensions/filters/http/stateful_session/v3/stateful_session.ts';
import { CookieBasedSessionState } from '#api/generated/envoy/extensions/http/stateful_session/cookie/v3/cookie.ts';
import { HeaderBasedSessionState } from '#api/generated/envoy/extensions/http/stateful_session/header/v3/header.ts';
import type { Any } from '#api/generated/google/protobuf/any.ts';
import { SessionOptions } from '#api/generated/tulle/config/v1/config.ts';
import { EXTENSION, HTTP_FILTER, METADATA } from '#api/names.ts';
import type { PathMatch } from '../model/route.ts';
import type { SessionPolicy } from '../model/session.ts';
import { duration, pack } from './messages.ts';

/** An entry of `typed_per_filter_config`. */
export function sessionConfig(session: SessionPolicy | null, path: PathMatch): Readonly<Record<string, Any>> {
  if (session === null) return {};
  // Envoy goes by the name.
  const sessionState = { name: `envoy.http.stateful_session.${session.kind}`, typedConfig: stateOf(session, path) };
  const message = StatefulSessionPerRoute.fromPartial({
    override: { $case: 'statefulSession', value: { sessionState, strict: false } },
  });
  return { [HTTP_FILTER.statefulSession]: pack(EXTENSION.statefulSession, StatefulSessionPerRoute, message) };
}

function stateOf({ kind, name, permanent, absoluteMs }: SessionPolicy, path: PathMatch): Any {
  if (kind === 'header') return pack(EXTENSION.headerSession, HeaderBasedSessionState, { name });
  // Two routes with one name of a cookie do not overwrite each other's, as long as their paths differ.
  const cookie = { name, ttl: duration(permanent ? absoluteMs : 0), path: path.kind === 'regex' ? '/' : path.value };
  return pack(EXTENSION.cookieSession, CookieBasedSessionState, { cookie });
}

/** An entry of the metadata. */
export function sessionOptions(session: SessionPolicy | null): Readonly<Record<string, Any>> {
  if (session === null || (session.absoluteMs === 0 && session.idleMs === 0)) return {};
  const options = SessionOptions.fromPartial({
    ...(session.absoluteMs > 0 && { absoluteTimeout: duration(session.absoluteMs) }),
    ...(session.idleMs > 0 && { idleTimeout: duration(session.idleMs) }),
  });
  return { [METADATA.session]: pack(EXTENSION.sessionOptions, SessionOptions, options) };
}
