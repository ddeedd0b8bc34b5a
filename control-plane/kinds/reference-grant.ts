/**
 * ReferenceGrant (gateway.networking.k8s.io, v1 and v1beta1): the owner of a namespace lets routes of other namespaces refer to what is in it.
 * Knows no route; who asks is decided elsewhere.
 */
import { string } from './field.ts';
import type { KubeObject } from './meta.ts';
import { type ParseContext, readObject, strictEnvelope } from './object.ts';
import { list, object, optional, required } from './structure.ts';
import { apiGroup, dnsLabel, dnsSubdomain, kindName } from './text-forms.ts';

export interface ReferenceGrant extends KubeObject {
  readonly kind: 'ReferenceGrant';
  readonly spec: {
    readonly from: readonly { readonly group: string; readonly kind: string; readonly namespace: string }[];
    readonly to: readonly {
      readonly group: string;
      readonly kind: string;
      /** Empty: every object of the kind in the grant's namespace. */
      readonly name: string;
    }[];
  };
}

/** Gateway API: bounds of from and to. */
const BOUNDS = { minItems: 1, maxItems: 16 };

const FROM = object({ group: required(apiGroup), kind: required(kindName), namespace: required(dnsLabel) });
const TO = object({
  group: required(apiGroup),
  kind: required(kindName),
  name: optional(string({ minLength: 1, maxLength: 253 }), ''),
});

const REFERENCE_GRANT = object({
  ...strictEnvelope(dnsSubdomain),
  spec: required(object({ from: required(list(FROM, BOUNDS)), to: required(list(TO, BOUNDS)) })),
});

export function parseReferenceGrant(value: unknown, context: ParseContext): ReferenceGrant | null {
  return readObject('ReferenceGrant', REFERENCE_GRANT, value, context, ({ spec }, common) => ({
    kind: 'ReferenceGrant',
    ...common,
    spec,
  }));
}
