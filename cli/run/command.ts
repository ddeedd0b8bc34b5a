/**
 * `tulle run FOLDER`: a mesh on this machine until Ctrl-C, with news and problems on the terminal.
 */
import { once } from 'node:events';
import { statSync } from 'node:fs';
import { systemClock } from '#base/clock.ts';
import { ownPrograms } from '../programs.ts';
import type { Report } from './report.ts';
import { startMesh, type Mesh } from './mesh.ts';
import { programVariables, runSettings, untilSignal, type RunOptions } from './options.ts';

/** The exit code. */
export async function runCommand(folder: string, options: RunOptions): Promise<number> {
  const settings = runSettings(folder, options);
  if (statSync(settings.folder, { throwIfNoEntry: false })?.isDirectory() !== true) {
    process.stderr.write(`${folder} is no folder\n`);
    return 1;
  }
  const stopped = untilSignal();
  const report: Report = {
    news: (line) => process.stdout.write(`${line}\n`),
    problem: (line) => process.stdout.write(`! ${line}\n`),
  };
  const programs = ownPrograms(process.argv[1] ?? '', settings.stateFolder, programVariables());
  const mesh = await startMesh({ settings, programs, clock: systemClock, report });
  report.news(
    `control plane: ${mesh.controlPlane.xdsAddress}; state: ${settings.stateFolder}; logs: ${settings.logFolder}`,
  );
  void tellReadiness(mesh, report, stopped);
  if (!stopped.aborted) await once(stopped, 'abort');
  report.news('ending');
  await mesh.close();
  return 0;
}

/** One line for each replica that becomes ready, or stops being so. */
async function tellReadiness(mesh: Mesh, report: Report, stopped: AbortSignal): Promise<void> {
  const known = new Map<string, boolean>();
  while (!stopped.aborted) {
    for (const { plan, network, ready, ending, appPid, sidecarPid } of mesh.replicas) {
      if ((known.get(plan.name) ?? false) === ready || ending) continue;
      known.set(plan.name, ready);
      const sidecar = sidecarPid === null ? '' : `, sidecar ${sidecarPid}`;
      if (ready) report.news(`${plan.name} is ready on ${network.podAddress} (process ${appPid}${sidecar})`);
    }
    await mesh.changed();
  }
}
