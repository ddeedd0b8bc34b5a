/** Sessions of a route: `envoy.filters.http.stateful_session` in `typed_per_filter_config`, by cookie or by header. Decides nothing. */
import type { Route } from '#api/generated/envoy/config/route/v3/route.ts';
import { StatefulSessionPerRoute } from '#api/generated/envoy/extensions/filters/http/stateful_session/v3/stateful_session.ts';
import { CookieBasedSessionState } from '#api/generated/envoy/extensions/http/stateful_session/cookie/v3/cookie.ts';
import { HeaderBasedSessionState } from '#api/generated/envoy/extensions/http/stateful_session/header/v3/header.ts';
import type { Any } from '#api/generated/google/protobuf/any.ts';
import { EXTENSION, METADATA } from '#api/names.ts';
import type { Problems } from '#base/problems.ts';
import type { SessionConfig } from '../sessions.ts';
import type { ForwardConfig } from '../snapshot.ts';
import { durationMs } from './duration.ts';
import { TOKEN } from './match.ts';
import { readMessage, shortType } from './message.ts';
import { decodeSessionOptions } from './metadata.ts';
import { at, refuse } from './unsupported.ts';

export function decodeSession(route: Route, path: string, problems: Problems): Pick<ForwardConfig, 'session'> {
  for (const [name, any] of Object.entries(route.typedPerFilterConfig)) {
    if (any.typeUrl !== EXTENSION.statefulSession) continue;
    const where = `${at(path, 'typed_per_filter_config')}["${name}"]`;
    const carrier = decodeCarrier(any, where, problems);
    return carrier === null ? {} : { session: { ...carrier, ...decodeTimes(route, path, problems) } };
  }
  return {};
}

type Carrier = Pick<SessionConfig, 'kind' | 'name' | 'path' | 'ttlMs'>;

function decodeCarrier(any: Any, path: string, problems: Problems): Carrier | null {
  const override = readMessage(StatefulSessionPerRoute, any.value, path, problems)?.override;
  if (override?.$case !== 'statefulSession') return null;
  const { sessionState, strict } = override.value;
  if (strict) refuse(problems, at(path, 'stateful_session.strict'), 'to fail when the endpoint is gone', 'false');
  const state = sessionState?.typedConfig;
  const where = at(path, 'stateful_session.session_state.typed_config');
  if (state?.typeUrl === EXTENSION.cookieSession) {
    const cookie = readMessage(CookieBasedSessionState, state.value, where, problems)?.cookie;
    const ttlMs = durationMs(cookie?.ttl, at(where, 'cookie.ttl'), problems, 0);
    const cookiePath = cookie?.path ?? '';
    if (!/^(?:\/[!-:<-~]*)?$/.test(cookiePath)) problems.add(at(where, 'cookie.path'), 'must be a path');
    return {
      kind: 'cookie',
      name: checkedName(cookie?.name, at(where, 'cookie.name'), problems),
      path: cookiePath,
      ttlMs,
    };
  }
  if (state?.typeUrl === EXTENSION.headerSession) {
    const header = readMessage(HeaderBasedSessionState, state.value, where, problems);
    const name = checkedName(header?.name, at(where, 'name'), problems).toLowerCase();
    return { kind: 'header', name, path: '', ttlMs: 0 };
  }
  refuse(problems, where, shortType(state?.typeUrl), 'CookieBasedSessionState, HeaderBasedSessionState');
  return null;
}

function checkedName(name: string | undefined, path: string, problems: Problems): string {
  if (name === undefined || !TOKEN.test(name)) problems.add(path, 'must be a name');
  return name ?? '';
}

function decodeTimes(route: Route, path: string, problems: Problems): Pick<SessionConfig, 'absoluteMs' | 'idleMs'> {
  const options = decodeSessionOptions(route.metadata, path, problems);
  const where = `${at(path, 'metadata.typed_filter_metadata')}["${METADATA.session}"]`;
  return {
    absoluteMs: durationMs(options?.absoluteTimeout, at(where, 'absolute_timeout'), problems, 0),
    idleMs: durationMs(options?.idleTimeout, at(where, 'idle_timeout'), problems, 0),
  };
}
