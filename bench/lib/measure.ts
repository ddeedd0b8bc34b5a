/**
 * Alternating rounds: every contender is up all the time and gets load in turn, so that what the machine does besides hits all of them.
 */
import { cpuUs, rssMb } from './processes.ts';
import { load } from './load.ts';
import type { ContenderName, RunningPath, Scenario } from './scenario.ts';

const WARM_UP_SECONDS = 2;

export interface Figures {
  readonly contender: ContenderName;
  /** CPU of all proxies of the path, per request that was answered, in microseconds. */
  readonly cpuUs: number;
  readonly requestsPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Of the largest proxy of the path, at the end of a round. */
  readonly loadedMb: number;
  readonly failures: number;
}

export async function measure(
  scenario: Scenario,
  paths: ReadonlyMap<ContenderName, RunningPath>,
  rounds: number,
  seconds: number,
): Promise<Figures[]> {
  for (const path of paths.values()) await load(path.target, scenario, WARM_UP_SECONDS);
  const samples = new Map<ContenderName, Figures[]>([...paths.keys()].map((name) => [name, []]));
  for (let round = 0; round < rounds; round++) {
    for (const [name, path] of paths) samples.get(name)?.push(await sample(name, path, scenario, seconds));
  }
  return [...samples.values()].map(medians);
}

async function sample(
  contender: ContenderName,
  path: RunningPath,
  scenario: Scenario,
  seconds: number,
): Promise<Figures> {
  const total = (): number => path.pids.reduce((sum, pid) => sum + cpuUs(pid), 0);
  const before = total();
  const result = await load(path.target, scenario, seconds);
  const used = total() - before;
  return {
    contender,
    cpuUs: used / result.requests,
    requestsPerSecond: result.requests / result.seconds,
    p50Ms: result.p50Ms,
    p99Ms: result.p99Ms,
    loadedMb: Math.max(...path.pids.map(rssMb)),
    failures: result.failures,
  };
}

function medians(rounds: readonly Figures[]): Figures {
  const [first] = rounds;
  if (first === undefined) throw new Error('at least one round is needed');
  const of = (pick: (figures: Figures) => number): number => median(rounds.map(pick));
  return {
    contender: first.contender,
    cpuUs: of((f) => f.cpuUs),
    requestsPerSecond: of((f) => f.requestsPerSecond),
    p50Ms: of((f) => f.p50Ms),
    p99Ms: of((f) => f.p99Ms),
    loadedMb: of((f) => f.loadedMb),
    failures: rounds.reduce((sum, f) => sum + f.failures, 0),
  };
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}
