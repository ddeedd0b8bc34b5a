/**
 * Load by h2load: HTTP/2 and gRPC as fast as they go, and HTTP/1.1 at a fixed rate. Its log has the time of each request.
 */
import { execFile } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { LoadResult, Scenario, Target } from './scenario.ts';
import { needTool } from './tools.ts';

/** A gRPC message of 16 bytes with its prefix. */
const FRAME = Buffer.concat([Buffer.from([0, 0, 0, 0, 16]), Buffer.alloc(16, 'x')]);

/** What is asked for, as options and an address. */
function request({ address, port }: Target, { protocol }: Pick<Scenario, 'protocol'>): string[] {
  const at = `http://${address}:${port}`;
  if (protocol !== 'grpc') return [...(protocol === 'http1' ? ['--h1'] : []), `${at}/`];
  const frame = join(tmpdir(), 'tulle-bench-frame.bin');
  writeFileSync(frame, FRAME);
  return ['-d', frame, '-H', 'content-type: application/grpc', '-H', 'te: trailers', `${at}/soak.Echo/Say`];
}

export async function loadByH2load(target: Target, scenario: Scenario, seconds: number): Promise<LoadResult> {
  const { connections, streams, rate } = scenario;
  const log = join(tmpdir(), `tulle-bench-h2load-${process.pid}.log`);
  const options = [
    '-t1',
    `-c${connections}`,
    `-m${streams}`,
    `-D${seconds}`,
    `--log-file=${log}`,
    ...(rate > 0 ? [`--rps=${rate / connections}`] : []),
  ];
  try {
    const { stdout } = await promisify(execFile)(needTool('h2load'), [...options, ...request(target, scenario)]);
    return resultOf(stdout, readFileSync(log, 'utf8'));
  } finally {
    rmSync(log, { force: true });
  }
}

/** True when one request succeeds. */
export async function answersHttp2(target: Target, scenario: Pick<Scenario, 'protocol'>): Promise<boolean> {
  const options = ['-n1', '-c1', '-T2', ...request(target, scenario)];
  return promisify(execFile)(needTool('h2load'), options).then(
    ({ stdout }) => /^status codes: 1 2xx/m.test(stdout),
    () => false,
  );
}

/** Lines of the log: start in µs, status, duration in µs. */
function resultOf(output: string, log: string): LoadResult {
  const [, took] = /^finished in ([\d.]+)s/m.exec(output) ?? [];
  const [, total, succeeded] = /^requests: (\d+) total, .*?(\d+) succeeded/m.exec(output) ?? [];
  const times = log
    .split('\n')
    .map((line) => line.split('\t'))
    .filter((cells) => cells.length === 3)
    .map((cells) => Number(cells[2]) / 1000)
    .toSorted((a, b) => a - b);
  const at = (share: number): number => times[Math.floor(times.length * share)] ?? Number.NaN;
  const requests = times.length;
  return {
    requests,
    // What is under way at the end is cut, and no failure.
    failures: Math.max(0, Number(total) - Number(succeeded) - 64 * 16),
    seconds: Number(took),
    p50Ms: at(0.5),
    p99Ms: at(0.99),
  };
}
