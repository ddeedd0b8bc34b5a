/** Deployment (apps/v1): what `tulle run` starts. The compiler needs only pods. */
import type { KubeObject } from './meta.ts';
import type { PodSpec } from './pod-spec.ts';

export interface Deployment extends KubeObject {
  readonly kind: 'Deployment';
  readonly spec: {
    readonly replicas: number;
    readonly selector: Readonly<Record<string, string>>;
    readonly template: {
      readonly labels: Readonly<Record<string, string>>;
      readonly annotations: Readonly<Record<string, string>>;
      readonly spec: PodSpec;
    };
  };
}
