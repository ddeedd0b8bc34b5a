/**
 * `npm run bench [-- WORD...] [--seconds N] [--rounds N] [--before DIST]`: CPU, memory and start of the sidecar beside nginx, HAProxy, nghttpx and Envoy in the same run.
 * Words choose scenarios by name; `sidecar` is the memory and start of an idle one. Figures are told, never judged by the exit status.
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { startApplication } from './lib/application.ts';
import { makeCertificates } from './lib/certificates.ts';
import { startEnvoy } from './lib/envoy.ts';
import { startHaproxy } from './lib/haproxy.ts';
import { measure, median } from './lib/measure.ts';
import { measureSidecar, pod, startTulle } from './lib/mesh.ts';
import { startNghttpx } from './lib/nghttpx.ts';
import { startNginx } from './lib/nginx.ts';
import { freePort } from './lib/processes.ts';
import { bound, scenarioTable, table, verdicts } from './lib/report.ts';
import type { ContenderName, Place, RunningPath, Scenario } from './lib/scenario.ts';
import { findTool, howToGet } from './lib/tools.ts';
import { SCENARIOS } from './scenarios.ts';

type Start = (scenario: Scenario, place: Place) => Promise<RunningPath>;

const CONTENDERS: Readonly<Record<Exclude<ContenderName, 'before'>, Start>> = {
  tulle: startTulle,
  nginx: startNginx,
  haproxy: startHaproxy,
  nghttpx: startNghttpx,
  envoy: startEnvoy,
};

const SIDECAR_STARTS = 5;
/** Budgets of the design. */
const IDLE_MB = 70;
const READY_MS = 250;

interface Options {
  readonly rounds: number;
  readonly seconds: number;
  /** Bundles to compare ours with, in place of the peers; empty: none. */
  readonly before: string;
}

function contendersOf(scenario: Scenario, { before }: Options): ContenderName[] {
  if (before !== '') return ['tulle', 'before'];
  return scenario.contenders.filter((name) => {
    if (name === 'tulle' || findTool(name) !== null) return true;
    console.log(`left out: ${howToGet(name)}`);
    return false;
  });
}

async function runScenario(scenario: Scenario, folder: string, options: Options): Promise<void> {
  console.log(`\n## ${scenario.title}\n`);
  const { app: address } = (await pod('application')).addresses;
  const application = { address, port: await freePort(address) };
  const appFolder = join(folder, 'application');
  const running = await startApplication(scenario, appFolder, address, application.port);
  const certificates = makeCertificates(folder);
  const paths = new Map<ContenderName, RunningPath>();
  try {
    for (const name of contendersOf(scenario, options)) {
      const own = join(folder, name);
      mkdirSync(own);
      const place = { folder: own, application, certificates };
      const path = name === 'before' ? startTulle(scenario, place, options.before) : CONTENDERS[name](scenario, place);
      paths.set(name, await path);
    }
    const figures = await measure(scenario, paths, options.rounds, options.seconds);
    console.log(scenarioTable(figures));
    for (const sentence of verdicts(scenario, figures)) console.log(`\n${sentence}`);
  } finally {
    await Promise.all([...paths.values(), running].map((started) => started.stop()));
  }
}

async function runSidecar(folder: string): Promise<void> {
  console.log('\n## An idle sidecar, control plane present\n');
  const { idleMb, readyMs } = await measureSidecar(folder, SIDECAR_STARTS);
  const rows = [
    ['', 'median', 'slowest'],
    ['start to ready, ms', median(readyMs).toFixed(0), Math.max(...readyMs).toFixed(0)],
    ['resident, MB', idleMb.toFixed(1), ''],
  ];
  console.log(table(rows));
  console.log(`\n${bound('resident memory of an idle sidecar, MB', idleMb, IDLE_MB)}`);
  console.log(`\n${bound('start to ready, ms', median(readyMs), READY_MS)}`);
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      seconds: { type: 'string', default: '4' },
      rounds: { type: 'string', default: '5' },
      before: { type: 'string', default: '' },
    },
  });
  const [seconds, rounds] = [Number(values.seconds), Number(values.rounds)];
  const { before } = values;
  if (!(seconds >= 1) || !(rounds >= 1)) throw new Error('--seconds and --rounds must be numbers from 1');
  const isWanted = (name: string): boolean =>
    positionals.length === 0 || positionals.some((word) => name.includes(word));
  const scenarios = SCENARIOS.filter(({ name }) => isWanted(name));
  const missing = ['nginx', 'openssl', 'h2load'].filter((name) => scenarios.length > 0 && findTool(name) === null);
  if (missing.length > 0) throw new Error(missing.map(howToGet).join('; '));
  if (findTool('wrk') === null) console.log(`${howToGet('wrk')}: using the built-in loader`);
  console.log(
    `Node ${process.version}, ${cpus().length} x ${cpus()[0]?.model ?? 'unknown'}, ${rounds} rounds of ${seconds} s`,
  );
  const folder = mkdtempSync(join(tmpdir(), 'tulle-bench-'));
  try {
    for (const scenario of scenarios) {
      const own = join(folder, scenario.name);
      mkdirSync(own);
      await runScenario(scenario, own, { rounds, seconds, before });
    }
    if (isWanted('sidecar')) {
      mkdirSync(join(folder, 'sidecar'));
      await runSidecar(join(folder, 'sidecar'));
    }
    rmSync(folder, { recursive: true });
  } catch (error) {
    console.error(`logs are in ${folder}`);
    throw error;
  }
}

await main();
// Claimed address blocks keep listening sockets; nothing else is left to wait for.
process.exit();
