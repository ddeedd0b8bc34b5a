/**
 * A real sidecar process with no application beside it, at a control plane of ours: its HTTP proxy port leads to every destination. Test-only.
 */
import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { FolderMesh } from './folder-mesh.ts';
import { freePort } from './ports.ts';

export interface SidecarProcess {
  readonly pid: number;
  /** HTTP proxy port, on 127.0.0.1. */
  readonly proxyPort: number;
  readonly metricsPort: number;
  readonly adminPort: number;
  /** What it has said on standard error so far. */
  log(): string;
  /** SIGTERM; the exit code. */
  end(): Promise<number | null>;
  /** SIGKILL. */
  stop(): Promise<void>;
}

const READY_MS = 30_000;
const TOKEN_LIFE_MS = 3_600_000;
const SCRIPT = join(import.meta.dirname, '..', '..', 'proxy', 'main.ts');

/** Resolves when it is ready. @param folder for its token @param more flags without dashes @param words more of the command line @param runtime words for Node */
export async function startSidecar(
  folder: string,
  mesh: Pick<FolderMesh, 'xdsAddress' | 'caFile' | 'issueToken'>,
  pod: string,
  more: Readonly<Record<string, string>> = {},
  words: readonly string[] = [],
  runtime: readonly string[] = [],
): Promise<SidecarProcess> {
  const tokenFile = join(folder, `${pod}-token`);
  writeFileSync(tokenFile, mesh.issueToken({ namespace: 'default', serviceAccount: 'gateway', pod }, TOKEN_LIFE_MS));
  const [proxyPort, metricsPort, adminPort] = [await freePort(), await freePort(), await freePort()];
  const flags = {
    'control-plane': mesh.xdsAddress.replace('127.0.0.1', 'localhost'),
    'ca-file': mesh.caFile,
    'token-file': tokenFile,
    'pod-name': pod,
    namespace: 'default',
    'service-account': 'gateway',
    capture: 'explicit',
    outbound: 'none',
    'http-proxy': `127.0.0.1:${proxyPort}`,
    inbound: 'none',
    'admin-address': `127.0.0.1:${adminPort}`,
    'metrics-address': `127.0.0.1:${metricsPort}`,
    'pod-address': '127.0.0.1',
    ...more,
  };
  const given = Object.entries(flags).flatMap(([name, value]) => [`--${name}`, value]);
  const child = spawn(process.execPath, [...runtime, SCRIPT, ...given, ...words], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said += text));
  const ended = new Promise<number | null>((resolve) => child.once('exit', (code) => resolve(code)));
  const deadline = Date.now() + READY_MS;
  for (;;) {
    const ready = await fetch(`http://127.0.0.1:${metricsPort}/readyz`).then(
      (response) => response.ok,
      () => false,
    );
    if (ready) break;
    if (Date.now() > deadline || child.exitCode !== null) throw new Error(`the sidecar does not become ready: ${said}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return {
    pid: child.pid ?? 0,
    proxyPort,
    metricsPort,
    adminPort,
    log: () => said,
    end: () => {
      child.kill('SIGTERM');
      return ended;
    },
    stop: async () => {
      child.kill('SIGKILL');
      await ended;
    },
  };
}
