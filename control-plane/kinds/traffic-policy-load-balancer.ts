/**
 * The load balancer of a TrafficPolicy: how an endpoint is chosen, and what is hashed for it. Knows nothing of how either is done.
 */
import { choice, duration, string, type ValueOf } from './field.ts';
import { list, object, optional, required } from './structure.ts';
import { headerName } from './text-forms.ts';
import { exactlyOne, yes } from './traffic-policy-parts.ts';

export const LOAD_BALANCERS = ['PeakEwma', 'LeastRequest', 'RoundRobin', 'Random', 'RingHash', 'Maglev'] as const;
export type LoadBalancerName = (typeof LOAD_BALANCERS)[number];

const PREFERENCES = ['None', 'Zone'] as const;
export type LocalityPreference = (typeof PREFERENCES)[number];

export type HashOnSpec =
  | { readonly kind: 'sourceAddress' }
  | { readonly kind: 'header' | 'cookie' | 'queryParam'; readonly name: string };

export interface LoadBalancerSpec {
  readonly policy: LoadBalancerName | null;
  /** The first that a request has counts. Header names in lower case. */
  readonly hashOn: readonly HashOnSpec[] | null;
  readonly slowStartMs: number | null;
  readonly prefer: LocalityPreference | null;
}

const HASH_ON = list(
  exactlyOne({
    header: optional(headerName, null, 'Value of a request header.'),
    cookie: optional(headerName, null, 'Value of a cookie.'),
    queryParam: optional(string({ minLength: 1, maxLength: 256 }), null, 'Value of a query parameter.'),
    sourceAddress: optional(yes, null, 'Address of the client.'),
  }),
  { minItems: 1, maxItems: 8 },
);

const LOCALITY = object({
  prefer: required(choice(PREFERENCES), 'Zone: endpoints in the zone of the client first.'),
});

export const LOAD_BALANCER = object({
  policy: optional(choice(LOAD_BALANCERS), null, 'How an endpoint is chosen.'),
  hashOn: optional(HASH_ON, null, 'What is hashed, for RingHash and Maglev; the first that a request has.'),
  slowStart: optional(duration('0s', '1h'), null, 'Time in which a new endpoint comes up to its full share.'),
  locality: optional(LOCALITY, null, 'Preference by place.'),
});

export function loadBalancerOf(given: ValueOf<typeof LOAD_BALANCER>): LoadBalancerSpec {
  const { policy, hashOn, slowStart, locality } = given;
  return { policy, hashOn: hashOn?.map(hashKeyOf) ?? null, slowStartMs: slowStart, prefer: locality?.prefer ?? null };
}

function hashKeyOf({
  header,
  cookie,
  queryParam,
}: NonNullable<ValueOf<typeof LOAD_BALANCER>['hashOn']>[number]): HashOnSpec {
  if (header !== null) return { kind: 'header', name: header.toLowerCase() };
  if (cookie !== null) return { kind: 'cookie', name: cookie };
  return queryParam === null ? { kind: 'sourceAddress' } : { kind: 'queryParam', name: queryParam };
}
