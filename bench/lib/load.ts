/**
 * Load of every kind. Closed-loop HTTP/1.1 comes from wrk, or from a small loader of our own where wrk is missing.
 * The loader's CPU is nobody's figure, so it may cost what it costs.
 */
import { execFile } from 'node:child_process';
import { connect, type Socket } from 'node:net';
import { promisify } from 'node:util';
import { loadOpaque } from './bytes.ts';
import { loadByH2load } from './h2load.ts';
import { isOpaque, type LoadResult, type Scenario, type Target } from './scenario.ts';
import { findTool } from './tools.ts';

/** Puts the load of a scenario on a path for `seconds`. */
export function load(target: Target, scenario: Scenario, seconds: number): Promise<LoadResult> {
  const { protocol, rate, connections } = scenario;
  if (isOpaque(scenario)) return loadOpaque(target, scenario, seconds);
  if (protocol !== 'http1' || rate > 0) return loadByH2load(target, scenario, seconds);
  const wrk = findTool('wrk');
  return wrk === null ? loadOurselves(target, connections, seconds) : loadByWrk(wrk, target, connections, seconds);
}

async function loadByWrk(wrk: string, target: Target, connections: number, seconds: number): Promise<LoadResult> {
  const options = ['-t1', `-c${connections}`, `-d${seconds}s`, '--latency', '-H', `Host: ${target.host}`];
  const { stdout } = await promisify(execFile)(wrk, [...options, `http://${target.address}:${target.port}/`]);
  const ms = (percent: number): number => {
    const [, value, unit] = new RegExp(`^\\s+${percent}%\\s+([\\d.]+)(us|ms|s)$`, 'm').exec(stdout) ?? [];
    return Number(value) * (unit === 'us' ? 0.001 : unit === 's' ? 1000 : 1);
  };
  const [, requests, took] = /(\d+) requests in ([\d.]+)s/.exec(stdout) ?? [];
  const socketErrors = /connect (\d+), read (\d+), write (\d+), timeout (\d+)/.exec(stdout)?.slice(1) ?? [];
  const wrongStatus = /Non-2xx or 3xx responses: (\d+)/.exec(stdout)?.[1] ?? '0';
  return {
    requests: Number(requests),
    failures: [wrongStatus, ...socketErrors].reduce((sum, count) => sum + Number(count), 0),
    seconds: Number(took),
    p50Ms: ms(50),
    p99Ms: ms(99),
  };
}

async function loadOurselves(target: Target, connections: number, seconds: number): Promise<LoadResult> {
  const request = `GET / HTTP/1.1\r\nHost: ${target.host}\r\n\r\n`;
  const times: number[] = [];
  const counts = { failures: 0 };
  const started = performance.now();
  const until = started + seconds * 1000;
  const one = (): Promise<void> =>
    new Promise((resolve) => drive(connect(target.port, target.address), request, until, times, counts, resolve));
  await Promise.all(Array.from({ length: connections }, one));
  const sorted = times.toSorted((a, b) => a - b);
  const at = (share: number): number => sorted[Math.floor(sorted.length * share)] ?? Number.NaN;
  return {
    requests: times.length,
    failures: counts.failures,
    seconds: (performance.now() - started) / 1000,
    p50Ms: at(0.5),
    p99Ms: at(0.99),
  };
}

/** One connection, one request at a time. Answers are counted by their head and `content-length`. */
function drive(
  socket: Socket,
  request: string,
  until: number,
  times: number[],
  counts: { failures: number },
  done: () => void,
): void {
  let buffered = '';
  let sent = 0;
  const send = (): void => {
    sent = performance.now();
    if (sent > until) socket.end();
    else socket.write(request);
  };
  socket.setNoDelay(true);
  socket.on('connect', send);
  socket.on('error', () => counts.failures++);
  socket.on('close', done);
  socket.on('data', (chunk) => {
    buffered += chunk.toString('latin1');
    const head = buffered.indexOf('\r\n\r\n');
    const length = /\r\ncontent-length: *(\d+)/i.exec(buffered)?.[1];
    if (head === -1 || buffered.length < head + 4 + Number(length ?? 0)) return;
    if (!/^HTTP\/1\.1 [23]/.test(buffered)) counts.failures++;
    buffered = '';
    times.push(performance.now() - sent);
    send();
  });
}
