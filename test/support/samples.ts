/** What a worker has counted so far, read as a scraper reads it. Test-only. */
import { renderPrometheus } from '../../proxy/telemetry/prometheus.ts';
import type { TestWorker } from './worker.ts';

/** Sum of the series of `name` whose labels have all of these parts, as in `direction="inbound"`; 0 when there is none. */
export function counted({ registry }: TestWorker, name: string, ...labels: readonly string[]): number {
  return renderPrometheus(registry)
    .split('\n')
    .filter((line) => line.startsWith(`${name}{`) && labels.every((label) => line.includes(label)))
    .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
}
