/** EndpointSlice (discovery.k8s.io/v1): where a Service really is. */
import { isIPv4, isIPv6 } from 'node:net';
import { boolean, choice, string, type ValueOf } from './field.ts';
import { envelope, type ParseContext, readObject } from './object.ts';
import { list, optional, part, required } from './structure.ts';
import { appProtocol, dnsLabel, dnsSubdomain, portNumber } from './text-forms.ts';
import type { KubeObject } from './meta.ts';

export interface SliceEndpoint {
  readonly addresses: readonly string[];
  readonly ready: boolean;
  readonly serving: boolean;
  readonly terminating: boolean;
  readonly zone: string;
  /** Zones that topology aware routing wants to use it (KEP-2433); empty: nothing is said. */
  readonly forZones: readonly string[];
  readonly nodeName: string;
  /** Name of the pod behind it, in the slice's namespace; empty when it is no pod. */
  readonly pod: string;
}

export interface EndpointSlice extends KubeObject {
  readonly kind: 'EndpointSlice';
  /** From the label `kubernetes.io/service-name`. */
  readonly service: string;
  readonly addressType: 'IPv4' | 'IPv6' | 'FQDN';
  readonly ports: readonly { readonly name: string; readonly port: number; readonly appProtocol: string }[];
  readonly endpoints: readonly SliceEndpoint[];
}

const CONDITIONS = part({
  ready: optional(boolean(), null),
  serving: optional(boolean(), null),
  terminating: optional(boolean(), null),
});

/** Of the API: at most eight zones. */
const HINTS = part({ forZones: optional(list(part({ name: required(string()) }), { maxItems: 8 }), []) });

const ENDPOINT = part({
  addresses: required(list(string({ minLength: 1, maxLength: 253 }), { minItems: 1, maxItems: 100 })),
  conditions: optional(CONDITIONS, { ready: null, serving: null, terminating: null }),
  zone: optional(string(), ''),
  hints: optional(HINTS, { forZones: [] }),
  nodeName: optional(string(), ''),
  targetRef: optional(part({ kind: optional(string(), ''), name: optional(string(), '') }), { kind: '', name: '' }),
});

const PORT = part({
  name: optional(anyPortName(), ''),
  port: optional(portNumber, null),
  appProtocol: optional(appProtocol, ''),
});

/** Bounds of discovery.k8s.io/v1. */
const ENDPOINT_SLICE = part({
  ...envelope(dnsSubdomain),
  addressType: required(choice(['IPv4', 'IPv6', 'FQDN'])),
  endpoints: optional(list(ENDPOINT, { maxItems: 1000 }), []),
  ports: optional(list(PORT, { maxItems: 100 }), []),
});

/** A Service's port name, which may be empty here. */
function anyPortName() {
  const empty = string();
  return {
    schema: empty.schema,
    read: (...args: Parameters<typeof empty.read>) => (args[0] === '' ? empty : dnsLabel).read(...args),
  };
}

/** The label that ties a slice to its Service. */
const SERVICE_LABEL = 'kubernetes.io/service-name';

/** Absent conditions count as the API says: ready unless told otherwise, serving as ready, not terminating. */
function endpointOf(given: ValueOf<typeof ENDPOINT>): SliceEndpoint {
  const { addresses, conditions, zone, hints, nodeName, targetRef } = given;
  const ready = conditions.ready ?? true;
  return {
    addresses,
    ready,
    serving: conditions.serving ?? ready,
    terminating: conditions.terminating ?? false,
    zone,
    forZones: hints.forZones.map(({ name }) => name),
    nodeName,
    pod: targetRef.kind === 'Pod' ? targetRef.name : '',
  };
}

export function parseEndpointSlice(value: unknown, context: ParseContext): EndpointSlice | null {
  return readObject('EndpointSlice', ENDPOINT_SLICE, value, context, (slice, common, problems) => {
    const fits = { IPv4: isIPv4, IPv6: isIPv6, FQDN: (text: string) => text !== '' }[slice.addressType];
    for (const [i, { addresses }] of slice.endpoints.entries()) {
      for (const [j, address] of addresses.entries()) {
        if (fits(address)) continue;
        problems.add(
          `endpoints[${i}].addresses[${j}]`,
          `${JSON.stringify(address)} is no ${slice.addressType} address`,
        );
      }
    }
    return {
      kind: 'EndpointSlice',
      ...common,
      service: common.meta.labels[SERVICE_LABEL] ?? '',
      addressType: slice.addressType,
      // A port without number stands for all ports, which no Service port leads to.
      ports: slice.ports.flatMap(({ name, port, appProtocol }) => (port === null ? [] : [{ name, port, appProtocol }])),
      endpoints: slice.endpoints.map(endpointOf),
    };
  });
}
