/**
 * What a route changes in a request and in its answer: headers, host, path.
 * Pure but for the heads it is given; knows no stream.
 */
import type { ClusterConfig, ForwardConfig, RouteConfig, WeightedClusterConfig } from '../config/snapshot.ts';
import { applyEdits } from '../filters/headers.ts';
import type { HeaderList } from '../http/headers.ts';
import type { RequestHead } from '../http/message.ts';
import { rewrittenPath } from './path-rewrite.ts';

/** Once for all tries of a request. Backend first, then route: Envoy evaluates from the most specific level to the least. */
export function editRequest(
  request: RequestHead,
  route: RouteConfig,
  action: ForwardConfig,
  choice: WeightedClusterConfig | null,
  service: ClusterConfig['service'],
): void {
  // HTTP/1.0 need not name a host; HTTP/1.1, which we speak from here on, must (RFC 9112 3.2).
  if (request.authority === '')
    request.authority = service === null ? 'localhost' : `${service.name}.${service.namespace}`;
  if (choice !== null && choice.requestHeaders !== null) applyEdits(request.headers, choice.requestHeaders);
  if (route.requestHeaders !== null) applyEdits(request.headers, route.requestHeaders);
  if (action.hostRewrite !== '') request.authority = action.hostRewrite;
  request.path = rewrittenPath(request.path, route.path, action);
}

export function editResponse(
  headers: HeaderList,
  route: RouteConfig | null,
  choice: WeightedClusterConfig | null,
): void {
  if (choice !== null && choice.responseHeaders !== null) applyEdits(headers, choice.responseHeaders);
  if (route !== null && route.responseHeaders !== null) applyEdits(headers, route.responseHeaders);
}
