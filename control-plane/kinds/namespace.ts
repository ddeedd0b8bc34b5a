/** Namespace (core/v1): labels and annotations that its pods inherit. */
import type { KubeObject } from './meta.ts';

export interface Namespace extends KubeObject {
  readonly kind: 'Namespace';
}
