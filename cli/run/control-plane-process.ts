/**
 * The control plane of a mesh as a child process: kept alive, and never needed by the runner itself once the tokens are made.
 */
import { chmodSync } from 'node:fs';
import path from 'node:path';
import type { Clock } from '#base/clock.ts';
import { formatDuration } from '#base/duration.ts';
import { FolderTokens, loadTokenKey } from '../../control-plane/identity/tokens.ts';
import { flagWords } from '../flags.ts';
import { answersOk } from '../admin/ask.ts';
import type { Programs } from '../programs.ts';
import type { Report } from './report.ts';
import type { RunSettings } from './settings.ts';
import { deathNotice } from './death-notice.ts';
import { KeptProcess } from './kept-process.ts';
import type { Network } from './network.ts';
import type { Watchdog } from './watchdog.ts';

export interface Workload {
  readonly namespace: string;
  readonly serviceAccount: string;
  readonly pod: string;
}

export interface ControlPlaneProcess {
  readonly pid: number | null;
  /** `ADDRESS:PORT`. */
  readonly xdsAddress: string;
  readonly adminAddress: string;
  readonly caFile: string;
  issueToken(workload: Workload): string;
  stop(): Promise<void>;
}

export interface ControlPlaneOptions {
  readonly settings: RunSettings;
  readonly objectFolder: string;
  readonly network: Network;
  readonly programs: Programs;
  readonly clock: Clock;
  readonly watchdog: Watchdog;
  readonly report: Report;
  /** Its process was started, at first or again. */
  readonly onStart: () => void;
}

const XDS_PORT = 15_012;
const ADMIN_PORT = 15_014;
const STOP_MS = 3000;
const READY_POLL_MS = 50;
const READY_TIMEOUT_MS = 15_000;
/** A run longer than this needs a restart; tokens lie in a private folder and die with the key. */
const TOKEN_LIFE_MS = 30 * 24 * 3_600_000;
const BACKOFF = { firstMs: 0, maxMs: 5000 };

/** Starts it and waits until it answers; rejects when it does not. */
export async function startControlPlane(options: ControlPlaneOptions): Promise<ControlPlaneProcess> {
  const { settings, network, programs, clock, watchdog, report } = options;
  const xdsAddress = `${network.controlPlaneAddress}:${XDS_PORT}`;
  const adminAddress = `${network.controlPlaneAddress}:${ADMIN_PORT}`;
  const state = path.join(settings.stateFolder, 'control-plane');
  const logFile = path.join(settings.logFolder, 'control-plane.log');
  const flags = flagWords({
    folder: [settings.folder, options.objectFolder],
    'state-dir': state,
    'xds-address': xdsAddress,
    'admin-address': adminAddress,
    'trust-domain': settings.trustDomain,
    'cluster-domain': settings.clusterDomain,
    'leaf-ttl': formatDuration(settings.leafTtlMs),
    ...network.controlPlaneFlags,
  });
  const command = { ...programs.controlPlane, args: [...programs.controlPlane.args, ...flags], env: programs.env };
  const kept = new KeptProcess(command, {
    clock,
    watchdog,
    logFile,
    backoff: BACKOFF,
    onStart: options.onStart,
    onDeath: (exit, inMs) => report.problem(deathNotice('control plane', 'app', exit, inMs, logFile)),
  });
  kept.start();
  if (!(await becomesReady(adminAddress, clock))) {
    await kept.stop(STOP_MS);
    throw new Error(`the control plane does not become ready; see ${logFile}`);
  }
  chmodSync(state, network.folderMode);
  const tokens = new FolderTokens(loadTokenKey(state), clock);
  return {
    get pid() {
      return kept.pid;
    },
    xdsAddress,
    adminAddress,
    caFile: path.join(state, 'ca.pem'),
    issueToken: (workload) => tokens.issue(workload, TOKEN_LIFE_MS),
    stop: () => kept.stop(STOP_MS),
  };
}

async function becomesReady(address: string, clock: Clock): Promise<boolean> {
  const deadlineMs = clock.now() + READY_TIMEOUT_MS;
  while (!(await answersOk(`http://${address}/readyz`))) {
    if (clock.now() > deadlineMs) return false;
    await new Promise<void>((resolve) => void clock.after(READY_POLL_MS, resolve));
  }
  return true;
}
