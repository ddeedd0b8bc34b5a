/**
 * A route table, linked: authority to virtual host, then to the first route that matches.
 * Pure: knows neither clusters nor what becomes of a route.
 */
import type { RouteTableConfig } from '../config/snapshot.ts';
import type { HeaderList } from '../http/headers.ts';
import { DomainTable } from './domains.ts';
import { linkRoute, type Route } from './route.ts';
import { RouteIndex } from './route-index.ts';

export interface RouteTable {
  readonly config: RouteTableConfig;
  readonly domains: DomainTable<RouteIndex>;
}

/** Costs O(routes); throws on a regular expression that decode should have refused. */
export function linkRouteTable(config: RouteTableConfig): RouteTable {
  const domains = new DomainTable<RouteIndex>();
  for (const host of config.virtualHosts) {
    const index = new RouteIndex(host.routes.map(linkRoute));
    for (const domain of host.domains) domains.add(domain, index);
  }
  domains.seal();
  return { config, domains };
}

/**
 * The route of a request, or null when there is none (404). Only one virtual host is asked: no route in it means none at all, as in Envoy.
 * @param authority with or without port, in any case
 * @param path with query, normalized where that is wanted
 */
export function findRoute(
  table: RouteTable,
  authority: string,
  method: string,
  path: string,
  headers: HeaderList,
): Route | null {
  const index = table.domains.find(authority);
  return index === null ? null : index.find(authority, method, path, headers);
}
