/** Namespace (core/v1): labels and annotations that its pods inherit. */
import { type Common, envelope, type ParseContext, readObject } from './object.ts';
import { part } from './structure.ts';
import { dnsLabel } from './text-forms.ts';
import type { KubeObject } from './meta.ts';

export interface Namespace extends KubeObject {
  readonly kind: 'Namespace';
}

const NAMESPACE = part(envelope(dnsLabel));

export function parseNamespace(value: unknown, context: ParseContext): Namespace | null {
  return readObject('Namespace', NAMESPACE, value, context, (_, common: Common) => ({ kind: 'Namespace', ...common }));
}
