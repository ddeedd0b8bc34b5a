/** The pod template that Deployment and Pod share, as far as running and meshing it need it. */
export interface EnvVar {
  readonly name: string;
  readonly value: string;
  /** `valueFrom.fieldRef.fieldPath`, such as `status.podIP`; empty when `value` counts. */
  readonly fieldPath: string;
}

export interface ContainerPort {
  readonly name: string;
  readonly containerPort: number;
  readonly protocol: 'TCP' | 'UDP' | 'SCTP';
}

export interface Probe {
  readonly handler:
    | {
        readonly kind: 'http';
        readonly path: string;
        readonly port: number | string;
        readonly scheme: 'HTTP' | 'HTTPS';
      }
    | { readonly kind: 'tcp'; readonly port: number | string }
    | { readonly kind: 'exec'; readonly command: readonly string[] };
  readonly initialDelayMs: number;
  readonly periodMs: number;
  readonly timeoutMs: number;
  readonly successThreshold: number;
  readonly failureThreshold: number;
}

export interface Container {
  readonly name: string;
  readonly image: string;
  readonly command: readonly string[];
  readonly args: readonly string[];
  readonly workingDir: string;
  readonly env: readonly EnvVar[];
  readonly ports: readonly ContainerPort[];
  readonly readinessProbe: Probe | null;
}

export interface PodSpec {
  readonly serviceAccountName: string;
  readonly terminationGracePeriodSeconds: number;
  readonly containers: readonly Container[];
}
