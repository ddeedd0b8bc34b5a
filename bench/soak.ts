/**
 * `node bench/soak.ts [--seconds N] [--rate N] [--out FILE]`: a real mesh under a low, mixed load for a long time. HTTP/1.1 and HTTP/2, gRPC calls
 * and streams, upgrades, opaque TCP, connections that come and go, certificates renewed every minute, a route and a policy changed twice a
 * minute, and much faster while it warms up. Memory and descriptors of every sidecar and of the control plane are written down; the verdict says whether they stay flat.
 */
import { appendFileSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { Clients } from './soak/clients.ts';
import { Collectors } from './soak/collect.ts';
import { lookAt, places, start } from './soak/mesh.ts';
import { route, workloads } from './soak/names.ts';
import { breaches, trends, type Sample } from './soak/verdict.ts';

const ROOT = path.join(import.meta.dirname, '..');
/** A sample is taken after a full collection in every process. */
const SAMPLE_MS = 15_000;
const CHANGE_MS = 30_000;
/** While it warms up: what V8 compiles and what the allocator keeps for a change is there after some thousands, not after two hundred. */
const WARM_UP_CHANGE_MS = 200;
/** Share of the rate of each kind of exchange. */
const MIX = { http1: 50, http2: 20, call: 20, chat: 2, tunnel: 4, bytes: 4 } as const;
/** V8 grows its heap for a while, as it likes: what comes before does not count. */
const WARM_UP_SHARE = 0.3;

export interface SoakOptions {
  readonly seconds: number;
  /** Exchanges a second, of all kinds together. */
  readonly rate: number;
  /** Bundles of `dist`, or the sources. */
  readonly entry: string;
  /** CSV of all samples; null: none. */
  readonly out: string | null;
  /** Between two samples. Connections come and go within one: a short run needs many. */
  readonly sampleMs: number;
}

export interface SoakResult {
  readonly exchanges: number;
  /** What went wrong, with how often. */
  readonly failures: ReadonlyMap<string, number>;
  readonly samples: readonly Sample[];
}

export async function soak({ seconds, rate, entry, out, sampleMs }: SoakOptions): Promise<SoakResult> {
  const state = path.join(tmpdir(), `tulle-soak-${process.pid}`);
  const manifests = path.join(state, 'manifests');
  mkdirSync(manifests, { recursive: true });
  const write = (file: string, items: readonly object[]): void =>
    writeFileSync(path.join(manifests, file), JSON.stringify({ apiVersion: 'v1', kind: 'List', items }));
  write('workloads.json', workloads(['node', path.join(import.meta.dirname, 'soak/app.ts')]));
  write('route.json', route(0));
  const mesh = await start(entry, manifests, state);
  const clients = new Clients(places(mesh));
  const collectors = new Collectors();
  try {
    await collectors.open(path.join(state, 'logs'));
    return await run({ seconds, rate, out, sampleMs, state, clients, collectors, write });
  } finally {
    clients.close();
    collectors.close();
    await mesh.close();
    rmSync(state, { recursive: true, force: true });
  }
}

interface Run {
  readonly seconds: number;
  readonly rate: number;
  readonly out: string | null;
  readonly sampleMs: number;
  readonly state: string;
  readonly clients: Clients;
  readonly collectors: Collectors;
  readonly write: (file: string, items: readonly object[]) => void;
}

async function run({ seconds, rate, out, sampleMs, state, clients, collectors, write }: Run): Promise<SoakResult> {
  const failures = new Map<string, number>();
  const samples: Sample[] = [];
  const underWay = new Set<Promise<void>>();
  let exchanges = 0;
  const once = (kind: keyof typeof MIX): void => {
    exchanges++;
    const exchange = clients[kind]().catch((error: unknown) => {
      const reason = `${kind}: ${error instanceof Error ? error.message : String(error)}`;
      failures.set(reason, (failures.get(reason) ?? 0) + 1);
    });
    const done = exchange.finally(() => underWay.delete(done));
    underWay.add(done);
  };
  const timers = (Object.keys(MIX) as (keyof typeof MIX)[]).map((kind) =>
    setInterval(() => once(kind), 100_000 / (rate * MIX[kind])),
  );
  const startMs = Date.now();
  const change = (): void => write('route.json', route(Math.round((Date.now() - startMs) / 100)));
  const early = setInterval(change, WARM_UP_CHANGE_MS);
  const end = setTimeout(() => clearInterval(early), seconds * WARM_UP_SHARE * 1000);
  timers.push(early, end, setInterval(change, CHANGE_MS));
  for (let at = sampleMs; at <= seconds * 1000; at += sampleMs) {
    await pause(startMs + at - Date.now());
    await collectors.collect();
    samples.push(...noted(lookAt(state, at / 1000), out));
  }
  for (const timer of timers) clearInterval(timer);
  await Promise.all(underWay);
  return { exchanges, failures, samples };
}

/** Written down, if anywhere. */
function noted(samples: readonly Sample[], out: string | null): readonly Sample[] {
  if (out !== null) {
    const lines = samples.map((s) => `${s.seconds.toFixed(0)},${s.process},${s.rssMb.toFixed(1)},${s.descriptors}\n`);
    appendFileSync(out, lines.join(''));
  }
  return samples;
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      seconds: { type: 'string', default: '600' },
      rate: { type: 'string', default: '50' },
      out: { type: 'string' },
    },
  });
  const seconds = Number(values.seconds);
  const entry = path.join(ROOT, 'dist/tulle.cjs');
  const result = await soak({
    seconds,
    rate: Number(values.rate),
    entry,
    out: values.out ?? null,
    sampleMs: SAMPLE_MS,
  });
  const all = trends(result.samples, seconds * WARM_UP_SHARE);
  console.log(`${result.exchanges} exchanges in ${seconds} s`);
  for (const { process: name, firstMb, lastMb, mbPerHour, descriptorsBefore, descriptorsAfter } of all) {
    const memory = `${firstMb.toFixed(1)} -> ${lastMb.toFixed(1)} MB (${mbPerHour.toFixed(2)} MB an hour)`;
    console.log(`${name}: ${memory}, descriptors ${descriptorsBefore} -> ${descriptorsAfter}`);
  }
  const problems = [
    ...[...result.failures].map(([reason, count]) => `failed ${count} times: ${reason}`),
    ...breaches(all, { growthMbPerHour: 1, descriptors: 3 }),
  ];
  for (const problem of problems) console.log(problem);
  console.log(problems.length === 0 ? 'flat' : 'not flat');
  return problems.length === 0 ? 0 : 1;
}

if (process.argv[1] === import.meta.filename) process.exitCode = await main();
