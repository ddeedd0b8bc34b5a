/**
 * What every part of a running mesh needs: settings, own programs, time, the folders, and whom to tell.
 */
import type { Clock } from '#base/clock.ts';
import type { Programs } from '../programs.ts';
import type { ControlPlaneProcess } from './control-plane-process.ts';
import type { ObjectFolder } from './object-folder.ts';
import type { Report } from './report.ts';
import type { RunSettings } from './settings.ts';
import type { Watchdog } from './watchdog.ts';

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
