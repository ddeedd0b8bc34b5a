/**
 * Figures as a Markdown table, ready for `bench/README.md`, with ratios to the first contender that is ours.
 */
import type { Figures } from './measure.ts';
import type { Budget, Scenario } from './scenario.ts';

const HEAD = ['', 'CPU µs/request', 'tulle is', 'requests/s', 'p50 ms', 'p99 ms', 'RSS MB', 'failed'];

export function table(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(3, ...rows.map((row) => row[column]?.length ?? 0)));
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell, i) => (i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0))).join(' | ')} |`;
  const rule = `|${widths.map((width, i) => (i === 0 ? '-'.repeat(width + 2) : `${'-'.repeat(width + 1)}:`)).join('|')}|`;
  return [line(rows[0] ?? []), rule, ...rows.slice(1).map(line)].join('\n');
}

export function scenarioTable(figures: readonly Figures[]): string {
  const ours = figures.find((f) => f.contender === 'tulle');
  const rows = figures.map((f) => [
    f.contender,
    f.cpuUs.toFixed(1),
    ours === undefined || ours === f ? '' : `${(ours.cpuUs / f.cpuUs).toFixed(2)} x`,
    f.requestsPerSecond.toFixed(0),
    f.p50Ms.toFixed(2),
    f.p99Ms.toFixed(2),
    f.loadedMb.toFixed(0),
    String(f.failures),
  ]);
  return table([HEAD, ...rows]);
}

/** One sentence for each budget of a scenario whose peer was measured. */
export function verdicts(scenario: Scenario, figures: readonly Figures[]): string[] {
  const ours = figures.find((f) => f.contender === 'tulle');
  if (ours === undefined) return [];
  const { atMostMb } = scenario;
  const memory = atMostMb === undefined ? [] : [bound('resident memory, MB', ours.loadedMb, atMostMb)];
  const ratios = scenario.budgets.flatMap(({ peer, of, atMost }) => {
    const theirs = figures.find((f) => f.contender === peer);
    if (theirs === undefined) return [];
    const ratio = OF[of](ours) / OF[of](theirs);
    const verdict = ratio <= atMost ? 'within' : 'OVER';
    return [`${verdict} budget: ${ratio.toFixed(2)} x the ${of} of ${peer}, to be at most ${atMost} x`];
  });
  return [...ratios, ...memory];
}

/** One sentence for a budget without peer. */
export function bound(what: string, value: number, atMost: number): string {
  return `${value <= atMost ? 'within' : 'OVER'} budget: ${what}: ${value.toFixed(0)}, to be at most ${atMost}`;
}

const OF: Readonly<Record<Budget['of'], (figures: Figures) => number>> = {
  cpu: (figures) => figures.cpuUs,
  p50: (figures) => figures.p50Ms,
  p99: (figures) => figures.p99Ms,
};
