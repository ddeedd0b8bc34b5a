/**
 * The sidecar: settings -> supervisor + worker -> ready; SIGTERM -> drain -> end. With one worker everything is in one thread; with more,
 * each is a thread that runs this file, and the main thread carries no traffic.
 * Exit codes: 0 drained, 1 broken, 64 wrong settings (sysexits EX_USAGE).
 */
import { systemClock } from '#base/clock.ts';
import { createLogger, type Logger } from '#base/log.ts';
import { formatProblems } from '#base/problems.ts';
import { systemRandom } from '#base/random.ts';
import { readText } from '#base/read-file.ts';
import { runCapture } from './capture/main.ts';
import { readSettings, settingsHelp, type Settings } from './settings.ts';
import { Supervisor } from './supervisor/supervisor.ts';
import { Fleet } from './supervisor/workers/fleet.ts';
import type { WorkerHost } from './supervisor/workers/host.ts';
import { JoinedMetrics } from './telemetry/joined.ts';
import { MetricRegistry } from './telemetry/metrics.ts';
import { runThread, THREAD_COMMAND } from './worker/thread.ts';
import { Worker, type WorkerEnv } from './worker/worker.ts';

const EXIT_USAGE = 64;

/** Runs a sidecar until it is told to end; the exit code. */
async function runSidecar(argv: readonly string[]): Promise<number> {
  if (argv.includes('--help')) {
    process.stdout.write(`${settingsHelp()}\n`);
    return 0;
  }
  const settings = await readSettings({ argv, env: process.env, readFile: readText });
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
  const metrics = settings.concurrency === 1 ? registry : new JoinedMetrics(registry);
  const env = { clock: systemClock, random: systemRandom, log, registry };
  const end = Promise.withResolvers<void>();
  const supervisor: Supervisor = new Supervisor(
    { ...settings, ...settings.worker },
    {
      ...env,
      metrics,
      readFile: readText,
      post: (message) => host.post(message),
      describeWorker: () => host.describe(),
      recall: (id) => host.recall(id),
      onDrain: end.resolve,
    },
  );
  const host =
    metrics instanceof JoinedMetrics ? fleet(settings, env, metrics, supervisor) : local(settings, env, supervisor);
  awaitSignals(end.resolve);
  try {
    await supervisor.start();
    const problems = await host.open();
    if (problems.length > 0) throw new Error(problems.join('; '));
    supervisor.listening();
    await end.promise;
    await supervisor.drain();
    return 0;
  } catch (error) {
    log.error('cannot run', { reason: error instanceof Error ? error.message : String(error) });
    return 1;
  } finally {
    await host.close();
    await supervisor.close();
  }
}

type HostEnv = Omit<WorkerEnv, 'memory' | 'post'>;

/** One worker, in this thread: the smallest sidecar. */
function local({ worker: settings }: Settings, env: HostEnv, supervisor: Supervisor): WorkerHost {
  const worker = new Worker(settings, { ...env, memory: null, post: (message) => supervisor.receive(message) });
  return {
    open: () => worker.open(),
    post: (message) => worker.receive(message),
    describe: () => Promise.resolve(worker.describe()),
    recall: (id) => Promise.resolve(worker.recall(id)),
    close: () => worker.close(),
  };
}

/** A thread for each worker, which runs this same program. */
function fleet(
  { concurrency, worker, logLevel, logFormat }: Settings,
  env: HostEnv,
  metrics: JoinedMetrics,
  supervisor: Supervisor,
): WorkerHost {
  return new Fleet({
    ...env,
    count: concurrency,
    script: process.argv[1] ?? '',
    settings: worker,
    logLevel,
    logFormat,
    metrics,
    receive: (message) => supervisor.receive(message),
    catchUp: () => supervisor.catchUp(),
    stateOf: (destination) => supervisor.stateOf(destination),
  });
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
function runCommand([first, ...rest]: readonly string[]): Promise<number> {
  if (first === 'capture') return runCapture(rest, (line) => void process.stdout.write(`${line}\n`));
  return runSidecar(first === undefined ? [] : [first, ...rest]);
}

const argv = process.argv.slice(2);
if (argv[0] === THREAD_COMMAND) runThread();
else void runCommand(argv).then((code) => process.exit(code));
