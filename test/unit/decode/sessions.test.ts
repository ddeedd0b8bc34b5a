/** Stateful sessions of a route: what is taken, and what is refused with which words. */
import t from 'tap';
import { Route } from '#api/generated/envoy/config/route/v3/route.ts';
import { StatefulSessionPerRoute } from '#api/generated/envoy/extensions/filters/http/stateful_session/v3/stateful_session.ts';
import { CookieBasedSessionState } from '#api/generated/envoy/extensions/http/stateful_session/cookie/v3/cookie.ts';
import { HeaderBasedSessionState } from '#api/generated/envoy/extensions/http/stateful_session/header/v3/header.ts';
import type { Any } from '#api/generated/google/protobuf/any.ts';
import { SessionOptions } from '#api/generated/tulle/config/v1/config.ts';
import { EXTENSION, HTTP_FILTER, METADATA } from '#api/names.ts';
import { Problems } from '#base/problems.ts';
import { decodeSession } from '../../../proxy/config/decode/sessions.ts';

const minute = { seconds: 60n, nanos: 0 };

function cookie(name: string, path = '/cart', ttl = minute): Any {
  const value = CookieBasedSessionState.encode(CookieBasedSessionState.fromPartial({ cookie: { name, path, ttl } }));
  return { typeUrl: EXTENSION.cookieSession, value: Buffer.from(value.finish()) };
}

function header(name: string): Any {
  const value = HeaderBasedSessionState.encode({ name }).finish();
  return { typeUrl: EXTENSION.headerSession, value: Buffer.from(value) };
}

function decoded(typedConfig: Any, strict = false, options: Partial<SessionOptions> = {}): unknown {
  const message = StatefulSessionPerRoute.fromPartial({
    override: { $case: 'statefulSession', value: { sessionState: { name: 's', typedConfig }, strict } },
  });
  const value = Buffer.from(StatefulSessionPerRoute.encode(message).finish());
  const times = Buffer.from(SessionOptions.encode(SessionOptions.fromPartial(options)).finish());
  const route = Route.fromPartial({
    typedPerFilterConfig: { [HTTP_FILTER.statefulSession]: { typeUrl: EXTENSION.statefulSession, value } },
    metadata: { typedFilterMetadata: { [METADATA.session]: { typeUrl: EXTENSION.sessionOptions, value: times } } },
  });
  const problems = new Problems();
  const { session } = decodeSession(route, 'r', problems);
  return problems.isEmpty ? session : problems.list.map(({ path, reason }) => `${path}: ${reason}`);
}

const FILTER = 'r.typed_per_filter_config["envoy.filters.http.stateful_session"].stateful_session';

t.test('by cookie and by header, with the times of our metadata', async (t) => {
  t.same(decoded(cookie('basket'), false, { idleTimeout: minute }), {
    kind: 'cookie',
    name: 'basket',
    path: '/cart',
    ttlMs: 60_000,
    absoluteMs: 0,
    idleMs: 60_000,
  });
  t.same(decoded(header('X-Basket'), false, { absoluteTimeout: minute }), {
    kind: 'header',
    name: 'x-basket',
    path: '',
    ttlMs: 0,
    absoluteMs: 60_000,
    idleMs: 0,
  });
});

t.test('what would break an answer, or cannot be obeyed, is refused', async (t) => {
  t.same(decoded(cookie('a b', '/; Domain=x'), true), [
    `${FILTER}.strict: to fail when the endpoint is gone is not supported`,
    `${FILTER}.session_state.typed_config.cookie.path: must be a path`,
    `${FILTER}.session_state.typed_config.cookie.name: must be a name`,
  ]);
  t.same(decoded(header('')), [`${FILTER}.session_state.typed_config.name: must be a name`]);
  t.same(decoded({ typeUrl: 'type.googleapis.com/other.State', value: Buffer.alloc(0) }), [
    `${FILTER}.session_state.typed_config: other.State is not supported`,
  ]);
});
