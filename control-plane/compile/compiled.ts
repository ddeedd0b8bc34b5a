/** What the compiler is told besides the World, and what it returns. Knows no rule. */
import type { Mesh, MtlsMode } from '../model/mesh.ts';
import type { World } from '../sources/world.ts';
import type { Conditions } from './conditions.ts';

/** Decisions of whoever runs the control plane. */
export interface CompileOptions {
  /** Of SPIFFE IDs: `spiffe://<trust domain>/ns/<namespace>/sa/<service account>`. */
  readonly trustDomain: string;
  /** Last part of host names: `<service>.<namespace>.svc.<cluster domain>`. */
  readonly clusterDomain: string;
  /** For workloads whose pod and namespace say nothing. */
  readonly defaultMtlsMode: MtlsMode;
}

export const DEFAULT_COMPILE_OPTIONS: CompileOptions = {
  trustDomain: 'cluster.local',
  clusterDomain: 'cluster.local',
  defaultMtlsMode: 'PERMISSIVE',
};

export interface Compiled {
  readonly mesh: Mesh;
  readonly conditions: Conditions;
  /** What it was made from: tells the next compilation what changed. */
  readonly world: World;
  readonly options: CompileOptions;
}
