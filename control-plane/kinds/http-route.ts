/** HTTPRoute (gateway.networking.k8s.io/v1) with a Service as parent (GAMMA). Field meaning: Gateway API specification. */
import type { KubeObject } from './meta.ts';

export interface ParentRef {
  readonly group: string;
  readonly kind: string;
  /** Empty: the route's own namespace. */
  readonly namespace: string;
  readonly name: string;
  readonly port: number | null;
  readonly sectionName: string;
}

export interface HttpPathMatch {
  readonly type: 'Exact' | 'PathPrefix' | 'RegularExpression';
  readonly value: string;
}

export interface NamedValueMatch {
  readonly type: 'Exact' | 'RegularExpression';
  readonly name: string;
  readonly value: string;
}

export interface HttpRouteMatch {
  readonly path: HttpPathMatch;
  readonly headers: readonly NamedValueMatch[];
  readonly queryParams: readonly NamedValueMatch[];
  /** Empty: any method. */
  readonly method: string;
}

export interface HeaderModifier {
  readonly set: readonly { readonly name: string; readonly value: string }[];
  readonly add: readonly { readonly name: string; readonly value: string }[];
  readonly remove: readonly string[];
}

/** `unsupported` filters are kept, so that the compiler can say so in the status. */
export type HttpRouteFilter =
  | { readonly type: 'RequestHeaderModifier'; readonly modifier: HeaderModifier }
  | { readonly type: 'ResponseHeaderModifier'; readonly modifier: HeaderModifier }
  | { readonly type: 'unsupported'; readonly name: string };

export interface BackendRef {
  readonly group: string;
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
  readonly port: number | null;
  readonly weight: number;
  readonly filters: readonly HttpRouteFilter[];
}

export interface HttpRouteRule {
  readonly name: string;
  readonly matches: readonly HttpRouteMatch[];
  readonly filters: readonly HttpRouteFilter[];
  readonly backendRefs: readonly BackendRef[];
  /** Milliseconds; null: not given; 0: no timeout. */
  readonly timeouts: { readonly requestMs: number | null; readonly backendRequestMs: number | null };
}

export interface HttpRoute extends KubeObject {
  readonly kind: 'HTTPRoute';
  readonly spec: {
    readonly parentRefs: readonly ParentRef[];
    readonly hostnames: readonly string[];
    readonly rules: readonly HttpRouteRule[];
  };
}
