/**
 * What the demo says at its end: did the load get through, how was it split, was every hop secured and by whom. Pure.
 */
import type { HttpRoute } from '../../control-plane/kinds/http-route.ts';
import type { HopTotals } from './hops.ts';
import type { LoadTotals } from './load.ts';
import { drawTable, hopCells, milliseconds, percent, securityWord } from './picture.ts';

/** What a scene did to the one who fails. */
export interface SceneActs {
  readonly flaky: string;
  readonly before: readonly HopTotals[];
  readonly after: readonly HopTotals[];
}

export interface SummaryInput {
  readonly load: LoadTotals;
  readonly p50Ms: number | null;
  readonly p99Ms: number | null;
  readonly elapsedMs: number;
  /** Of the whole run. */
  readonly hops: readonly HopTotals[];
  /** Since the routes were changed last: before that other weights were in force. */
  readonly recentHops: readonly HopTotals[];
  readonly routes: readonly HttpRoute[];
  /** Null: none was played. */
  readonly scene: SceneActs | null;
}

/** Lines for the terminal. */
export function drawSummary(input: SummaryInput): readonly string[] {
  const { load, hops, elapsedMs } = input;
  const lines = [
    `requests: ${load.sent} in ${(elapsedMs / 1000).toFixed(1)} s, ${load.failed} failed, ${load.reconnects} reconnects`,
    `latency: p50 ${milliseconds(input.p50Ms)}, p99 ${milliseconds(input.p99Ms)}`,
    ...[...load.reasons].map(([reason, count]) => `failed ${count} times: ${reason}`),
    ...input.routes.flatMap((route) => splitLines(route, input.recentHops)),
    ...(input.scene === null ? [] : [sceneLine(input.scene)]),
    '',
    ...drawTable([
      ['from', 'to', 'rps', 'success', 'p50', 'p99', 'retries', 'mTLS', 'identity of the peer'],
      ...hops.map((hop) => hopCells(hop, elapsedMs)),
    ]),
    '',
  ];
  const open = hops.filter((hop) => securityWord(hop) !== 'yes');
  lines.push(
    open.length === 0
      ? `mTLS: every one of ${hops.length} hops, each peer with the identity of its service account`
      : `mTLS: not always between ${open.map((hop) => `${hop.source} and ${hop.destination}`).join(', ')}`,
  );
  return lines;
}

/** `policy: calls to reviews-v2 succeeded 79.6% before it, 99.8% after it (with 31 retries)`. */
function sceneLine({ flaky, before, after }: SceneActs): string {
  const sum = (hops: readonly HopTotals[], of: (hop: HopTotals) => number): number =>
    hops.filter(({ destination }) => destination === flaky).reduce((total, hop) => total + of(hop), 0);
  const success = (hops: readonly HopTotals[]): string =>
    percent(
      sum(hops, (hop) => hop.requests - hop.failures),
      sum(hops, (hop) => hop.requests),
    );
  const retries = sum(after, (hop) => hop.retries);
  return `policy: calls to ${flaky} succeeded ${success(before)} before it, ${success(after)} after it (with ${retries} retries)`;
}

/** `split reviews: reviews-v1 80.2%, reviews-v2 19.8% (asked for 80/20)` for each rule with several backends. */
function splitLines(route: HttpRoute, hops: readonly HopTotals[]): readonly string[] {
  return route.spec.rules.flatMap(({ backendRefs }) => {
    if (backendRefs.length < 2) return [];
    const counts = backendRefs.map(({ name }) =>
      hops
        .filter((hop) => hop.service === name || hop.destination === name)
        .reduce((sum, hop) => sum + hop.requests, 0),
    );
    const total = counts.reduce((sum, count) => sum + count, 0);
    const weights = backendRefs.reduce((sum, { weight }) => sum + weight, 0);
    const shares = backendRefs.map(({ name }, i) => `${name} ${percent(counts[i] ?? 0, total)}`);
    const asked = backendRefs.map(({ weight }) => Math.round((100 * weight) / weights));
    return [`split ${route.meta.name}: ${shares.join(', ')} (asked for ${asked.join('/')})`];
  });
}
