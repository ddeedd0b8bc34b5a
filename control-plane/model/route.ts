/**
 * A route as meant: what it matches, where it leads, which policy is in force on it.
 * Knows no Kubernetes object and no xDS. Order of precedence is the compiler's business.
 */
import type { CorsPolicy } from './cors.ts';
import type { RoutePolicy } from './policy.ts';
import type { SessionPolicy } from './session.ts';

export type PathMatch =
  | { readonly kind: 'exact'; readonly value: string }
  /** Whole path segments: `/a` matches `/a` and `/a/b`, not `/ab`. `/` matches everything. */
  | { readonly kind: 'prefix'; readonly value: string }
  | { readonly kind: 'regex'; readonly value: string };

export interface ValueMatch {
  readonly kind: 'exact' | 'regex';
  /** Lower-case for headers. */
  readonly name: string;
  readonly value: string;
}

export interface RouteMatch {
  readonly path: PathMatch;
  readonly headers: readonly ValueMatch[];
  readonly query: readonly ValueMatch[];
  /** Empty: any. */
  readonly method: string;
}

export interface HeaderChange {
  readonly set: readonly (readonly [name: string, value: string])[];
  readonly add: readonly (readonly [name: string, value: string])[];
  readonly remove: readonly string[];
}

export interface WeightedBackend {
  readonly namespace: string;
  readonly service: string;
  readonly port: number;
  readonly weight: number;
  readonly requestHeaders: HeaderChange | null;
  readonly responseHeaders: HeaderChange | null;
}

/** A backend that gets copies of requests, whose answers nobody reads. */
export interface Mirror {
  readonly namespace: string;
  readonly service: string;
  readonly port: number;
  readonly percent: number;
}

/** What becomes of the path; the query stays. */
export type PathRewrite =
  | { readonly kind: 'full'; readonly path: string }
  /** In the place of the prefix that the route matches. Without slash at its end; `/`: the prefix is taken away. */
  | { readonly kind: 'prefix'; readonly path: string };

export interface Rewrite {
  /** Empty: that of the request. */
  readonly host: string;
  readonly path: PathRewrite | null;
}

export interface Redirect extends Rewrite {
  /** Empty: that of the request. */
  readonly scheme: '' | 'http' | 'https';
  /** 0: none is written, the scheme's own is meant. */
  readonly port: number;
  readonly status: 301 | 302 | 303 | 307 | 308;
}

/** Where a route leads. `unavailable` answers 500 with a reason: its backends cannot be resolved (Gateway API: such traffic gets 500). */
export type RouteAction =
  | {
      readonly kind: 'forward';
      /** Backends that resolve; their weights count. */
      readonly backends: readonly WeightedBackend[];
      /** Weight of the backends that do not resolve: that share of requests is answered 500. */
      readonly unresolvedWeight: number;
      readonly rewrite: Rewrite | null;
      readonly mirrors: readonly Mirror[];
    }
  | { readonly kind: 'redirect'; readonly redirect: Redirect }
  | { readonly kind: 'unavailable'; readonly reason: string }
  /** No rule matched: 404. */
  | { readonly kind: 'not-found' };

export interface Route {
  /** For people, metrics and logs: `namespace/route-name/rule`, or `default`. */
  readonly name: string;
  /** Consumer route: only for clients in this namespace. Null: for all. */
  readonly consumerNamespace: string | null;
  /** Of gRPC calls: what is answered 500 on other routes is UNAVAILABLE here, as GRPCRoute wants it. */
  readonly grpc: boolean;
  readonly match: RouteMatch;
  readonly requestHeaders: HeaderChange | null;
  readonly responseHeaders: HeaderChange | null;
  readonly cors: CorsPolicy | null;
  /** Null: requests go where the balancer says. */
  readonly session: SessionPolicy | null;
  readonly action: RouteAction;
  readonly policy: RoutePolicy;
}

/**
 * What a client of this namespace sees of a Service port's routes. Consumer routes of a namespace take the place of the
 * producer's for its clients (GEP-1324), and none is tried after the one that ends the list.
 */
export function visibleRoutes(routes: readonly Route[], clientNamespace: string): readonly Route[] {
  const own = routes.filter((r) => r.consumerNamespace === clientNamespace);
  return own.length > 0 ? own : routes.filter((r) => r.consumerNamespace === null);
}
