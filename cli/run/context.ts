/**
 * What every part of a running mesh needs: settings, own programs, time, the folders, and whom to tell.
 */
import type { Clock } from '#base/clock.ts';
import type { Programs } from '../programs.ts';
import type { ControlPlaneProcess } from './control-plane-process.ts';
import type { ObjectFolder } from './object-folder.ts';
import type { Watchdog } from './watchdog.ts';

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

/** Where news goes: to the terminal, or to the picture that covers it. */
export interface Report {
  /** Something happened as it should. */
  news(line: string): void;
  /** Something is wrong, and the line says what. */
  problem(line: string): void;
}

export interface RunContext {
  readonly settings: RunSettings;
  readonly programs: Programs;
  readonly clock: Clock;
  readonly watchdog: Watchdog;
  readonly objects: ObjectFolder;
  /** One token a pod, in files of their names. */
  readonly tokenFolder: string;
  readonly controlPlane: ControlPlaneProcess;
  readonly report: Report;
}
