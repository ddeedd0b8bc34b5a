/**
 * Figures of this process under the names that Prometheus clients agreed on (`process_*`, `nodejs_*`).
 * Collected by ourselves at each scrape: see docs/decisions/002-process-metrics.md.
 */
import { readdirSync } from 'node:fs';
import { performance } from 'node:perf_hooks';

interface Sample {
  readonly name: string;
  readonly type: 'counter' | 'gauge';
  readonly help: string;
  readonly value: number;
}

/** @param startedMs wall time of the start of the process in milliseconds */
export function renderProcessMetrics(startedMs: number): string {
  return samples(startedMs)
    .map(({ name, type, help, value }) => `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${name} ${value}\n`)
    .join('');
}

function samples(startedMs: number): readonly Sample[] {
  const cpu = process.cpuUsage();
  const memory = process.memoryUsage();
  const loop = performance.eventLoopUtilization();
  return [
    counter('process_cpu_seconds_total', 'CPU time spent, user and system.', (cpu.user + cpu.system) / 1e6),
    gauge('process_resident_memory_bytes', 'Resident memory.', memory.rss),
    gauge('process_start_time_seconds', 'Start of the process, Unix time.', startedMs / 1000),
    gauge('process_open_fds', 'Open file descriptors; 0 where the system does not tell.', openFiles()),
    gauge('nodejs_heap_size_used_bytes', 'Heap in use.', memory.heapUsed),
    gauge('nodejs_heap_size_total_bytes', 'Heap.', memory.heapTotal),
    gauge('nodejs_external_memory_bytes', 'Memory of buffers and native objects.', memory.external),
    counter('nodejs_eventloop_active_seconds_total', 'Time that the event loop was busy.', loop.active / 1000),
    counter('nodejs_eventloop_idle_seconds_total', 'Time that the event loop waited.', loop.idle / 1000),
  ];
}

function counter(name: string, help: string, value: number): Sample {
  return { name, type: 'counter', help, value };
}

function gauge(name: string, help: string, value: number): Sample {
  return { name, type: 'gauge', help, value };
}

function openFiles(): number {
  try {
    return readdirSync('/proc/self/fd').length;
  } catch {
    return 0;
  }
}
