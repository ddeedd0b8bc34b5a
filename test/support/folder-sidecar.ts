/**
 * A whole sidecar in this process, worker and supervisor, that is told everything by a control plane over a folder.
 * Test-only.
 */
import { readFile } from 'node:fs/promises';
import { systemClock } from '#base/clock.ts';
import { silentLogger } from '#base/log.ts';
import { seededRandom } from '#base/random.ts';
import { Supervisor } from '../../proxy/supervisor/supervisor.ts';
import { MetricRegistry } from '../../proxy/telemetry/metrics.ts';
import { renderPrometheus } from '../../proxy/telemetry/prometheus.ts';
import type { WorkerSettings } from '../../proxy/worker/messages.ts';
import { Worker } from '../../proxy/worker/worker.ts';
import type { FolderMesh } from './folder-mesh.ts';
import { settings } from './worker.ts';

export interface FolderSidecar {
  readonly worker: Worker;
  readonly registry: MetricRegistry;
  /** Of the listener called `what`: `outbound`, `inbound`, or a destination's name. */
  port(what: string): number;
  /** The value of a counter, over all labels that hold these texts. */
  metric(name: string, ...labels: readonly string[]): number;
  /** A moment, for what comes by itself. */
  settled(): Promise<void>;
  close(): Promise<void>;
}

/**
 * Resolves when it is ready. @param pod that the control plane knows, or not: then it has no inbound side
 * @param zone that it says it is in
 */
export async function startFolderSidecar(
  mesh: FolderMesh,
  pod: WorkerSettings['pod'],
  more: Partial<WorkerSettings> = {},
  zone = '',
): Promise<FolderSidecar> {
  const registry = new MetricRegistry();
  const env = { clock: systemClock, random: seededRandom(1), log: silentLogger, registry };
  const ports = new Map<string, number>();
  const worker: Worker = new Worker(settings({ unknownDestinations: 'mesh', ...more, pod }), {
    ...env,
    memory: null,
    post: (message) => {
      if (message.kind === 'listening') ports.set(message.what, message.port);
      supervisor.receive(message);
    },
  });
  const [address = '', port = ''] = mesh.xdsAddress.split(':');
  const token = mesh.issueToken(
    { namespace: pod.namespace, serviceAccount: pod.serviceAccount, pod: pod.name },
    600_000,
  );
  const supervisor: Supervisor = new Supervisor(
    {
      controlPlane: { address, port: Number(port), serverName: 'localhost', caFile: mesh.caFile, tokenFile: 'token' },
      pod,
      zone,
      trustDomain: 'cluster.local',
      adminAddress: { address: '127.0.0.1', port: 0 },
      metricsAddress: { address: '127.0.0.1', port: 0 },
      leafTtlMs: 3_600_000,
      maxDestinations: 1000,
      drainDeadlineMs: 1000,
    },
    {
      ...env,
      metrics: registry,
      readFile: (path) => (path === 'token' ? Promise.resolve(token) : readFile(path, 'utf8')),
      post: (message) => worker.receive(message),
      describeWorker: () => Promise.resolve(worker.describe()),
      recall: (id) => Promise.resolve(worker.recall(id)),
      onDrain: () => undefined,
    },
  );
  await supervisor.start();
  const problems = await worker.open();
  if (problems.length > 0) throw new Error(problems.join('; '));
  supervisor.listening();
  while (supervisor.notReady.length > 0) await new Promise((resolve) => setTimeout(resolve, 5));
  return {
    worker,
    registry,
    port: (what) => ports.get(what) ?? 0,
    metric: (name, ...labels) => metricOf(registry, name, labels),
    settled: () => new Promise((resolve) => setTimeout(resolve, 20)),
    close: async () => {
      await worker.close();
      await supervisor.close();
    },
  };
}

function metricOf(registry: MetricRegistry, name: string, labels: readonly string[]): number {
  return renderPrometheus(registry)
    .split('\n')
    .filter((line) => line.startsWith(`${name}{`) && labels.every((label) => line.includes(label)))
    .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0);
}
