/**
 * A worker in a thread of its own: the same worker, its messages posted, its counters in memory that the supervisor reads.
 * Knows no other thread.
 */
import { systemClock } from '#base/clock.ts';
import { createLogger, type LogLevel } from '#base/log.ts';
import { systemRandom } from '#base/random.ts';
import { allocateSharedPage } from '../telemetry/cells.ts';
import type { SharedSeries } from '../telemetry/joined.ts';
import { DEFAULT_MAX_SERIES, MetricRegistry } from '../telemetry/metrics.ts';
import type { WorkerState } from './describe.ts';
import type { ExchangeFacts } from './recent.ts';
import type { FromWorker, ToWorker, WorkerSettings } from './messages.ts';
import type { SharedMemory } from './shared-rows.ts';
import { Worker } from './worker.ts';

/** What a thread is started with. */
export interface ThreadData {
  readonly settings: WorkerSettings;
  readonly memory: SharedMemory;
  readonly logLevel: LogLevel;
  readonly logFormat: 'text' | 'json';
}

export type ToThread =
  | { readonly kind: 'worker'; readonly message: ToWorker }
  | { readonly kind: 'open' }
  | { readonly kind: 'describe'; readonly id: number }
  | { readonly kind: 'recall'; readonly id: number; readonly request: string }
  | { readonly kind: 'close' };

export type FromThread =
  | { readonly kind: 'worker'; readonly message: FromWorker }
  | { readonly kind: 'opened'; readonly problems: readonly string[] }
  | { readonly kind: 'described'; readonly id: number; readonly state: WorkerState }
  | { readonly kind: 'recalled'; readonly id: number; readonly exchanges: readonly ExchangeFacts[] }
  | { readonly kind: 'series'; readonly series: SharedSeries };

/** The argument by which a thread knows that it is one: to ask `node:worker_threads` costs a sidecar without threads 1.7 MB. */
export const THREAD_COMMAND = 'worker-thread';

/** Serves until told to close. For a thread only. */
export function runThread(): void {
  const { parentPort: port, workerData } = process.getBuiltinModule('node:worker_threads');
  if (port === null) throw new Error(`${THREAD_COMMAND} is for threads that a sidecar starts itself (--concurrency)`);
  const { settings, memory, logLevel, logFormat } = workerData as ThreadData;
  const post = (message: FromThread): void => port.postMessage(message);
  const registry = new MetricRegistry(DEFAULT_MAX_SERIES, allocateSharedPage, {
    onSeries: (family, bounds, labels, page, index) =>
      post({ kind: 'series', series: { family, bounds, labels, page, index } }),
  });
  const log = createLogger({
    level: logLevel,
    format: logFormat,
    write: (line) => process.stderr.write(line),
    wall: () => systemClock.wall(),
  }).with({ pod: `${settings.pod.namespace}/${settings.pod.name}`, worker: memory.slot });
  const worker = new Worker(settings, {
    clock: systemClock,
    random: systemRandom,
    log,
    registry,
    memory,
    post: (message) => post({ kind: 'worker', message }),
  });
  port.on('message', (message: ToThread) => {
    switch (message.kind) {
      case 'worker':
        worker.receive(message.message);
        break;
      case 'open':
        void worker.open().then((problems) => post({ kind: 'opened', problems }));
        break;
      case 'describe':
        post({ kind: 'described', id: message.id, state: worker.describe() });
        break;
      case 'recall':
        post({ kind: 'recalled', id: message.id, exchanges: worker.recall(message.request) });
        break;
      case 'close':
        void worker.close().finally(() => port.close());
        break;
    }
  });
}
