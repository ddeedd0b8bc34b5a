/** ServiceAccount (core/v1): the name that becomes a workload's identity. */
import type { KubeObject } from './meta.ts';

export interface ServiceAccount extends KubeObject {
  readonly kind: 'ServiceAccount';
}
