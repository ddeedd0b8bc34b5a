/**
 * Answers that a route gives by itself: a redirect or a fixed response (Envoy `redirect`, `direct_response`).
 * Knows no stream.
 */
import type { RedirectConfig, RouteConfig } from '../config/snapshot.ts';
import { localAnswer, responseHead, type LocalAnswer } from '../exchange/local-answer.ts';
import { isGrpc } from '../http/grpc.ts';
import { HeaderList } from '../http/headers.ts';
import { EMPTY_BODY, bodyOfLength, type RequestHead } from '../http/message.ts';
import { rewrittenPath } from './path-rewrite.ts';

const EMPTY = Buffer.alloc(0);

/** Where a redirect leads; parts that it does not name stay as requested (Envoy RedirectAction). */
function location(redirect: RedirectConfig, route: RouteConfig, request: RequestHead): string {
  const scheme = redirect.scheme === '' ? request.scheme : redirect.scheme;
  const host = redirect.host === '' ? ownHost(redirect, scheme, request) : redirect.host;
  const isDefaultPort = (scheme === 'http' && redirect.port === 80) || (scheme === 'https' && redirect.port === 443);
  const port = redirect.port > 0 && !isDefaultPort ? `:${redirect.port}` : '';
  return `${scheme}://${host}${port}${redirectPath(redirect, route, request.path)}`;
}

/** The host asked for: with its port, unless another is written or it was only the default of a scheme that changes (as Envoy does). */
function ownHost(redirect: RedirectConfig, scheme: string, { scheme: asked, authority }: RequestHead): string {
  const colon = authority.lastIndexOf(':');
  if (colon <= authority.lastIndexOf(']')) return authority;
  const isDefault = authority.slice(colon) === (asked === 'https' ? ':443' : ':80');
  return redirect.port > 0 || (scheme !== asked && isDefault) ? authority.slice(0, colon) : authority;
}

function redirectPath(redirect: RedirectConfig, route: RouteConfig, path: string): string {
  const query = path.indexOf('?');
  if (redirect.path !== '') {
    return query < 0 || redirect.path.includes('?') ? redirect.path : redirect.path + path.slice(query);
  }
  return rewrittenPath(path, route.path, redirect);
}

export function directAnswer(route: RouteConfig, request: RequestHead): LocalAnswer {
  const { action } = route;
  if (action.kind === 'redirect') {
    const headers = new HeaderList(['location', location(action.redirect, route, request)]);
    return { head: responseHead(action.redirect.status, headers, EMPTY_BODY), bodyKind: EMPTY_BODY, body: EMPTY };
  }
  if (action.kind !== 'respond') throw new Error('a route that forwards gives no answer of its own');
  if (action.status >= 500 && isGrpc(request.headers)) {
    return localAnswer(
      { kind: 'unavailable-destination', side: 'local', sent: 'nothing', detail: action.body },
      request,
    );
  }
  const body = Buffer.from(action.body);
  const headers = new HeaderList(body.length > 0 ? ['content-type', 'text/plain; charset=utf-8'] : []);
  if (action.status >= 500) headers.add('tulle-reason', 'unavailable-destination');
  const bodyKind = bodyOfLength(body.length);
  return { head: responseHead(action.status, headers, bodyKind), bodyKind, body };
}
