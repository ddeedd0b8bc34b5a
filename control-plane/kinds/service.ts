/** Service (core/v1), as far as traffic is concerned. */
import type { KubeObject } from './meta.ts';

export interface ServicePortSpec {
  /** Empty when the Service has one unnamed port. */
  readonly name: string;
  readonly port: number;
  /** A port number, or the name of a container port. */
  readonly targetPort: number | string;
  readonly protocol: 'TCP' | 'UDP' | 'SCTP';
  /** `kubernetes.io/h2c`, `http`, …; empty when not given. */
  readonly appProtocol: string;
}

export interface Service extends KubeObject {
  readonly kind: 'Service';
  readonly spec: {
    readonly type: 'ClusterIP' | 'NodePort' | 'LoadBalancer' | 'ExternalName';
    /** Empty: no selector, endpoints come from EndpointSlices only. */
    readonly selector: Readonly<Record<string, string>>;
    /** `clusterIPs`; empty for a headless Service, and in a folder that gives none. */
    readonly clusterIps: readonly string[];
    readonly headless: boolean;
    readonly ports: readonly ServicePortSpec[];
  };
}
