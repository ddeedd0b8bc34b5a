/**
 * What the routes of Gateway API refer to, the same for every kind of route: parents and backends, with the bounds and defaults of v1.
 * Knows no match and no filter.
 */
import { type Field, integer, string } from './field.ts';
import { defaulted, list, object, optional, required, type Check } from './structure.ts';
import { apiGroup, dnsLabel, kindName, portNumber, sectionName } from './text-forms.ts';

export interface ParentRef {
  readonly group: string;
  readonly kind: string;
  /** Empty: the route's own namespace. */
  readonly namespace: string;
  readonly name: string;
  readonly port: number | null;
  readonly sectionName: string;
}

/** Of a route that has no filters. */
export interface PlainBackendRef {
  readonly group: string;
  readonly kind: string;
  /** Empty: the route's own namespace. */
  readonly namespace: string;
  readonly name: string;
  readonly port: number | null;
  readonly weight: number;
}

export interface BackendRef<F> extends PlainBackendRef {
  readonly filters: readonly F[];
}

const GATEWAY_GROUP = 'gateway.networking.k8s.io';

/** Bounds of Gateway API v1. */
const MAX_PARENTS = 32;
const MAX_HOSTNAMES = 16;
const MAX_BACKENDS = 16;
const MAX_WEIGHT = 1_000_000;

const objectName = string({ minLength: 1, maxLength: 253 });

const PARENT_REF = object({
  group: defaulted(apiGroup, GATEWAY_GROUP),
  kind: defaulted(kindName, 'Gateway'),
  namespace: optional(dnsLabel, ''),
  name: required(objectName),
  port: optional(portNumber, null),
  sectionName: optional(sectionName, ''),
});

export const PARENT_REFS: Field<readonly ParentRef[]> = list(PARENT_REF, {
  maxItems: MAX_PARENTS,
  unique: { keys: [], of: (ref) => JSON.stringify(ref) },
});

const BACKEND_MEMBERS = {
  group: defaulted(apiGroup, ''),
  kind: defaulted(kindName, 'Service'),
  namespace: optional(dnsLabel, ''),
  name: required(objectName),
  port: optional(portNumber, null),
  weight: defaulted(integer(0, MAX_WEIGHT), 1),
};

const PORT_RULE: Check<Omit<PlainBackendRef, 'weight'>> = {
  message: 'a reference to a Service must have a port',
  holds: ({ group, kind, port }) => group !== '' || kind !== 'Service' || port !== null,
};

/** @param filters those that a backendRef of this kind of route may have */
export function backendRefs<F>(filters: Field<readonly F[]>): Field<readonly BackendRef<F>[]> {
  return list(object({ ...BACKEND_MEMBERS, filters: optional(filters, []) }, [PORT_RULE]), { maxItems: MAX_BACKENDS });
}

/** Of a mirror, which has no weight. */
const { weight: _, ...MIRROR_MEMBERS } = BACKEND_MEMBERS;
export const MIRROR_REF = object(MIRROR_MEMBERS, [PORT_RULE]);

/** Of routes without filters, which must have one at least. */
export const PLAIN_BACKEND_REFS: Field<readonly PlainBackendRef[]> = list(object(BACKEND_MEMBERS, [PORT_RULE]), {
  minItems: 1,
  maxItems: MAX_BACKENDS,
});

/** Exact, or `*.` and a suffix, in lower case. */
export const hostname = string({
  minLength: 1,
  maxLength: 253,
  pattern: /^(\*\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/,
  advice: 'write a host name such as shop.example or *.shop.example',
});

export const HOSTNAMES: Field<readonly string[]> = list(hostname, { maxItems: MAX_HOSTNAMES });

interface AnyRule {
  readonly name: string;
  readonly matches: readonly unknown[];
}

/** Rules between the rules of a route. */
export function ruleChecks(maxMatches: number): readonly Check<{ readonly rules: readonly AnyRule[] }>[] {
  return [
    {
      message: `all rules together must have at most ${maxMatches} matches`,
      at: 'rules',
      holds: ({ rules }) => rules.reduce((sum, rule) => sum + rule.matches.length, 0) <= maxMatches,
    },
    {
      message: 'two rules have the same name',
      at: 'rules',
      holds: ({ rules }) => {
        const names = rules.map(({ name }) => name).filter((name) => name !== '');
        return new Set(names).size === names.length;
      },
    },
  ];
}
