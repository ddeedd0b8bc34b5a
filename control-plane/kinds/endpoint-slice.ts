/** EndpointSlice (discovery.k8s.io/v1): where a Service really is. */
import type { KubeObject } from './meta.ts';

export interface SliceEndpoint {
  readonly addresses: readonly string[];
  readonly ready: boolean;
  readonly serving: boolean;
  readonly terminating: boolean;
  readonly zone: string;
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
