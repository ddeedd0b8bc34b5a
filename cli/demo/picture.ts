/**
 * What the demo shows, as text: the load, who calls whom, what happened lately. Pure; who writes it where is `screen.ts`.
 */
import { quantileMs, type HopTotals } from './hops.ts';

export interface LoadFigures {
  readonly rps: number;
  readonly sent: number;
  readonly failed: number;
  readonly reconnects: number;
  readonly p50Ms: number | null;
  readonly p99Ms: number | null;
}

export interface Picture {
  readonly title: string;
  readonly load: LoadFigures;
  /** Of the last `windowMs`. */
  readonly hops: readonly HopTotals[];
  readonly windowMs: number;
  readonly replicas: { readonly ready: number; readonly all: number };
}

const COLUMNS = ['from', 'to', 'rps', 'success', 'p50', 'p99', 'retries', 'mTLS', 'identity of the peer'];
/** These are numbers and stand at the right. */
const RIGHT = new Set([2, 3, 4, 5, 6]);

/** Lines without colour, the table with one row a hop. */
export function drawPicture(picture: Picture): readonly string[] {
  const rows = picture.hops.map((hop) => hopCells(hop, picture.windowMs));
  return [picture.title, drawLoad(picture), '', ...drawTable([COLUMNS, ...rows])];
}

/** One line about the load and the replicas. */
export function drawLoad({ load, replicas }: Picture): string {
  const latency = `p50 ${milliseconds(load.p50Ms)}, p99 ${milliseconds(load.p99Ms)}`;
  return (
    `load: ${load.rps} requests/s, ${load.sent} sent, ${load.failed} failed, ${load.reconnects} reconnects, ${latency}; ` +
    `replicas: ${replicas.ready} of ${replicas.all} ready`
  );
}

/** The cells of one hop: how it went in the window. */
export function hopCells(hop: HopTotals, windowMs: number): readonly string[] {
  return [
    hop.source,
    hop.destination,
    (hop.requests / (windowMs / 1000)).toFixed(1),
    percent(hop.requests - hop.failures, hop.requests),
    milliseconds(quantileMs(hop.buckets, 0.5)),
    milliseconds(quantileMs(hop.buckets, 0.99)),
    String(hop.retries),
    securityWord(hop),
    hop.peers.join(' '),
  ];
}

/** `yes`, `no`, or the share in percent. */
export function securityWord(hop: Pick<HopTotals, 'secured' | 'requests'>): string {
  if (hop.secured >= hop.requests) return 'yes';
  return hop.secured === 0 ? 'no' : percent(hop.secured, hop.requests);
}

export function drawTable(rows: readonly (readonly string[])[]): readonly string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => (row[column] ?? '').length)));
  return rows.map((row) =>
    row
      .map((cell, column) =>
        RIGHT.has(column) ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0),
      )
      .join('  ')
      .trimEnd(),
  );
}

/** Never rounded up to 100 while something failed. */
export function percent(part: number, whole: number): string {
  if (whole === 0) return '-';
  const value = (100 * part) / whole;
  return value === 100 ? '100%' : `${Math.min(99.99, value).toFixed(value > 99 ? 2 : 1)}%`;
}

export function milliseconds(ms: number | null): string {
  if (ms === null) return '-';
  return ms < 10 ? `${ms.toFixed(1)}ms` : `${Math.round(ms)}ms`;
}
