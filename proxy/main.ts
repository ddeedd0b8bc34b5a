/**
 * The sidecar: settings -> supervisor + worker -> ready; SIGTERM -> drain -> end. Everything in one thread (design D8, concurrency 1).
 * Exit codes: 0 drained, 1 broken, 64 wrong settings (sysexits EX_USAGE).
 */
import { readFile as readFileAsync } from 'node:fs/promises';
import { systemClock } from '#base/clock.ts';
import { createLogger, type Logger } from '#base/log.ts';
import { formatProblems } from '#base/problems.ts';
import { systemRandom } from '#base/random.ts';
import { runCapture } from './capture/main.ts';
import { readSettings, settingsHelp, type Settings } from './settings.ts';
import { Supervisor } from './supervisor/supervisor.ts';
import { MetricRegistry } from './telemetry/metrics.ts';
import { Worker } from './worker/worker.ts';

const EXIT_USAGE = 64;

const readFile = (path: string): Promise<string> => readFileAsync(path, 'utf8');

/** Runs a sidecar until it is told to end; the exit code. */
async function runSidecar(argv: readonly string[]): Promise<number> {
  if (argv.includes('--help')) {
    process.stdout.write(`${settingsHelp()}\n`);
    return 0;
  }
  const settings = await readSettings({ argv, env: process.env, readFile });
  if (!settings.ok) {
    process.stderr.write(`${formatProblems(settings.error)}\n`);
    return EXIT_USAGE;
  }
  const { logLevel, logFormat, worker } = settings.value;
  const log = createLogger({
    level: logLevel,
    format: logFormat,
    write: (line) => process.stderr.write(line),
    wall: () => systemClock.wall(),
  }).with({ pod: `${worker.pod.namespace}/${worker.pod.name}` });
  for (const event of ['uncaughtException', 'unhandledRejection'] as const) {
    process.on(event, (error: unknown) => {
      log.error('broken', { reason: error instanceof Error ? (error.stack ?? error.message) : String(error) });
      process.exit(1);
    });
  }
  return run(settings.value, log);
}

async function run(settings: Settings, log: Logger): Promise<number> {
  const registry = new MetricRegistry();
  const env = { clock: systemClock, random: systemRandom, log, registry };
  const end = Promise.withResolvers<void>();
  const worker = new Worker(settings.worker, { ...env, post: (message) => supervisor.receive(message) });
  const supervisor = new Supervisor(
    { ...settings, ...settings.worker },
    {
      ...env,
      readFile,
      post: (message) => worker.receive(message),
      describeWorker: () => worker.describe(),
      onDrain: end.resolve,
    },
  );
  awaitSignals(end.resolve);
  try {
    await supervisor.start();
    const problems = await worker.open();
    if (problems.length > 0) throw new Error(problems.join('; '));
    supervisor.listening();
    await end.promise;
    await supervisor.drain();
    return 0;
  } catch (error) {
    log.error('cannot run', { reason: error instanceof Error ? error.message : String(error) });
    return 1;
  } finally {
    await worker.close();
    await supervisor.close();
  }
}

/** The first signal asks for the end, the second does not wait for it. */
function awaitSignals(onFirst: () => void): void {
  let count = 0;
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      if (++count === 1) onFirst();
      else process.exit(1);
    });
  }
}

/** `capture ...` is a command of its own: the image's init container writes the rules that lead traffic to the sidecar. */
function main([first, ...rest]: readonly string[]): Promise<number> {
  if (first === 'capture') return runCapture(rest, (line) => void process.stdout.write(`${line}\n`));
  return runSidecar(first === undefined ? [] : [first, ...rest]);
}

void main(process.argv.slice(2)).then((code) => process.exit(code));
