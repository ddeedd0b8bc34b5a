/** ServiceAccount (core/v1): the name that becomes a workload's identity. */
import { type Common, envelope, type ParseContext, readObject } from './object.ts';
import { part } from './structure.ts';
import { dnsSubdomain } from './text-forms.ts';
import type { KubeObject } from './meta.ts';

export interface ServiceAccount extends KubeObject {
  readonly kind: 'ServiceAccount';
}

const SERVICE_ACCOUNT = part(envelope(dnsSubdomain));

export function parseServiceAccount(value: unknown, context: ParseContext): ServiceAccount | null {
  return readObject('ServiceAccount', SERVICE_ACCOUNT, value, context, (_, common: Common) => ({
    kind: 'ServiceAccount',
    ...common,
  }));
}
