/**
 * `RouteConfiguration` to the route table of a snapshot: virtual hosts, their domains, their routes in order.
 * What a route does stands in action.ts, what it matches in match.ts.
 */
import { RouteConfiguration, type Route, type VirtualHost } from '#api/generated/envoy/config/route/v3/route.ts';
import { Problems } from '#base/problems.ts';
import { err, ok, type Result } from '#base/result.ts';
import type { RouteConfig, RouteTableConfig, VirtualHostConfig } from '../snapshot.ts';
import { decodeAction, type HostDefaults } from './action.ts';
import { decodeFilters, decodeRouteCors } from './filters.ts';
import { decodeHeaderEdits } from './headers.ts';
import { decodeMatch } from './match.ts';
import { readMessage } from './message.ts';
import { at } from './unsupported.ts';

/** Envoy `max_direct_response_body_size_bytes`. */
const DEFAULT_MAX_BODY_BYTES = 4096;

/** The table, or everything that is wrong with it. */
export function decodeRoute(bytes: Uint8Array): Result<RouteTableConfig, Problems> {
  const problems = new Problems();
  const message = readMessage(RouteConfiguration, bytes, '', problems);
  if (message === null) return err(problems);
  if (message.name === '') problems.add('name', 'must not be empty');
  const table = decodeRouteTable(message, '', problems);
  return problems.isEmpty ? ok(table) : err(problems);
}

/**
 * A table that was read already, as in a connection manager's `route_config`. Hosts are always matched without their port,
 * so `ignore_port_in_host_matching` needs no look.
 */
export function decodeRouteTable(table: RouteConfiguration, path: string, problems: Problems): RouteTableConfig {
  const seen = { names: new Set<string>(), domains: new Set<string>() };
  const maxBodyBytes = table.maxDirectResponseBodySizeBytes ?? DEFAULT_MAX_BODY_BYTES;
  const hosts = table.virtualHosts.map((host, i) =>
    decodeVirtualHost(host, maxBodyBytes, seen, at(path, `virtual_hosts[${i}]`), problems),
  );
  return { name: table.name, virtualHosts: hosts };
}

interface Seen {
  readonly names: Set<string>;
  readonly domains: Set<string>;
}

function decodeVirtualHost(
  host: VirtualHost,
  maxBodyBytes: number,
  seen: Seen,
  path: string,
  problems: Problems,
): VirtualHostConfig {
  if (host.name === '') problems.add(at(path, 'name'), 'must not be empty');
  else if (seen.names.has(host.name)) problems.add(at(path, 'name'), `${host.name} is used twice`);
  seen.names.add(host.name);
  if (host.domains.length === 0) problems.add(at(path, 'domains'), 'must hold at least one domain');
  return {
    name: host.name,
    domains: host.domains.map((d, i) => decodeDomain(d, seen.domains, at(path, `domains[${i}]`), problems)),
    routes: host.routes.map((route, i) =>
      decodeOneRoute(route, host, maxBodyBytes, at(path, `routes[${i}]`), problems),
    ),
  };
}

/** Exact, `*suffix`, `prefix*` or `*`; each once in a table (Envoy `VirtualHost.domains`). */
function decodeDomain(text: string, seen: Set<string>, path: string, problems: Problems): string {
  const domain = text.toLowerCase();
  if (!/^(?:\*|\*?[^*\s]+|[^*\s]+\*)$/.test(domain)) {
    problems.add(path, `${JSON.stringify(text)} is no domain`, 'a host, *.suffix, prefix.* or *');
  } else if (seen.has(domain)) problems.add(path, `${domain} is used twice`, 'each domain belongs to one virtual host');
  seen.add(domain);
  return domain;
}

function decodeOneRoute(
  route: Route,
  host: HostDefaults,
  maxBodyBytes: number,
  path: string,
  problems: Problems,
): RouteConfig {
  return {
    name: route.name,
    ...decodeMatch(route.match, at(path, 'match'), problems),
    requestHeaders: decodeHeaderEdits(
      route.requestHeadersToAdd,
      route.requestHeadersToRemove,
      'request',
      path,
      problems,
    ),
    responseHeaders: decodeHeaderEdits(
      route.responseHeadersToAdd,
      route.responseHeadersToRemove,
      'response',
      path,
      problems,
    ),
    ...decodeFilters(route, path, problems),
    ...decodeRouteCors(route, path, problems),
    action: decodeAction(route, host, maxBodyBytes, path, problems),
  };
}
