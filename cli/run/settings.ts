/** What whoever starts a mesh on this machine decides. Reads no flag and no environment. */
export interface RunSettings {
  /** Absolute paths. */
  readonly folder: string;
  readonly stateFolder: string;
  readonly logFolder: string;
  readonly network: 'loopback' | 'namespaces';
  readonly clusterDomain: string;
  readonly trustDomain: string;
  /** Life of the workloads' certificates. */
  readonly leafTtlMs: number;
  /** What applications inherit from the caller's environment. */
  readonly baseVariables: Readonly<Record<string, string>>;
}
