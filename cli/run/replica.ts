/**
 * One replica while it runs: its sidecar, its application, its readiness, and the Pod object that tells the control plane.
 * The sidecar is there before the application starts and until after it has ended, as Kubernetes' native sidecars are.
 */
import { accessSync, constants, rmSync } from 'node:fs';
import path from 'node:path';
import type { Timer } from '#base/clock.ts';
import { ask } from '../admin/ask.ts';
import { invocation, type PodFacts } from './environment.ts';
import { KeptProcess, type Command } from './kept-process.ts';
import type { ReplicaNetwork } from './network.ts';
import { podObject } from './pod-object.ts';
import { lookOf, Prober } from './prober.ts';
import type { ReplicaPlan } from './replica-plan.ts';
import type { RunContext } from './context.ts';
import { deathNotice } from './death-notice.ts';
import { sidecarCommand, tokenFile } from './sidecar.ts';

/** How often a sidecar is asked that is not ready yet, and one that is: it may be told to end by others than us. */
const SIDECAR_POLL_MS = 50;
const SIDECAR_CHECK_MS = 1000;
/** Longer than any start takes, even of many at once. */
const SIDECAR_SLOW_MS = 15_000;
/** Who is told to end keeps serving so long, until every sidecar has heard that it is leaving. */
const LEAVE_MS = 500;
/** A sidecar whose application is gone has nothing left to wait for. */
const SIDECAR_GRACE_MS = 2000;
const APP_BACKOFF = { firstMs: 200, maxMs: 10_000 };
/** Without its sidecar a replica is cut off, so that one comes back at once. */
const SIDECAR_BACKOFF = { firstMs: 0, maxMs: 10_000 };

export class Replica {
  readonly plan: ReplicaPlan;
  readonly network: ReplicaNetwork;
  readonly #context: RunContext;
  readonly #facts: PodFacts;
  readonly #app: KeptProcess;
  readonly #sidecar: KeptProcess | null;
  readonly #prober: Prober | null;
  readonly #onChange: () => void;
  readonly #createdMs: number;
  #endingMs: number | null = null;
  #stopped: Promise<void> | null = null;
  #appReady = false;
  #sidecarReady: boolean;
  #poll: Timer | null = null;

  constructor(plan: ReplicaPlan, network: ReplicaNetwork, context: RunContext, onChange: () => void) {
    this.plan = plan;
    this.network = network;
    this.#context = context;
    this.#onChange = onChange;
    this.#createdMs = context.clock.wall();
    this.#facts = factsOf(plan, network);
    this.#sidecarReady = !plan.meshed;
    const command = this.#appCommand();
    const { readinessProbe, ports } = plan.container;
    const target = { address: network.appAddress, ports, cwd: command.cwd, env: command.env };
    this.#prober =
      readinessProbe === null
        ? null
        : new Prober(readinessProbe, lookOf(readinessProbe, target), context.clock, (ready) =>
            this.#setAppReady(ready),
          );
    this.#app = this.#keep('app', network.enter(command, 'application'), APP_BACKOFF);
    this.#sidecar = plan.meshed ? this.#keep('sidecar', this.#sidecarCommand(), SIDECAR_BACKOFF) : null;
  }

  /** It can take traffic. */
  get ready(): boolean {
    return this.#appReady && this.#sidecarReady && this.#endingMs === null;
  }

  get ending(): boolean {
    return this.#endingMs !== null;
  }

  get appPid(): number | null {
    return this.#app.pid;
  }

  get sidecarPid(): number | null {
    return this.#sidecar?.pid ?? null;
  }

  start(): void {
    this.#publish();
    if (this.#sidecar === null) this.#app.start();
    else this.#sidecar.start();
  }

  /** Leaves the mesh, then ends. `hurried`: the whole mesh ends, nobody needs to hear of it first. */
  stop(hurried: boolean): Promise<void> {
    this.#stopped ??= this.#stop(hurried);
    return this.#stopped;
  }

  get #objectName(): string {
    return `pod.${this.plan.namespace}.${this.plan.name}`;
  }

  async #stop(hurried: boolean): Promise<void> {
    this.#endingMs = this.#context.clock.wall();
    this.#publish();
    if (!hurried && this.#appReady) await this.#wait(LEAVE_MS);
    this.#prober?.stop();
    await this.#app.stop(this.plan.gracePeriodSeconds * 1000);
    this.#poll?.cancel();
    await this.#sidecar?.stop(SIDECAR_GRACE_MS);
    this.#context.objects.remove(this.#objectName);
    rmSync(tokenFile(this.plan, this.#context), { force: true });
    await this.network.leave();
  }

  #keep(role: 'app' | 'sidecar', command: Command, backoff: typeof APP_BACKOFF): KeptProcess {
    const { clock, watchdog, settings, report } = this.#context;
    const suffix = role === 'app' ? '' : '.sidecar';
    const logFile = path.join(settings.logFolder, `${this.plan.name}${suffix}.log`);
    return new KeptProcess(command, {
      clock,
      watchdog,
      backoff,
      logFile,
      onStart: () => (role === 'app' ? this.#appStarted() : this.#sidecarStarted()),
      onDeath: (exit, restartInMs) => {
        report.problem(deathNotice(this.plan.name, role, exit, restartInMs, logFile));
        if (role === 'app') this.#appDied();
        else this.#setSidecarReady(false);
      },
    });
  }

  #appCommand(): Command {
    const { settings, report } = this.#context;
    const { container, name } = this.plan;
    const base = { ...settings.baseVariables, ...this.network.appVariables };
    const { argv, env } = invocation(container, this.#facts, this.network.services, base, (field) =>
      report.problem(`${name}: the field ${field} is not known here; its variable is left out`),
    );
    const [program = '', ...args] = argv;
    // The folder of manifests stands for the root of the image.
    return {
      program: inPath(program, env['PATH'] ?? ''),
      args,
      cwd: path.join(settings.folder, container.workingDir),
      env,
    };
  }

  #sidecarCommand(): Command {
    return this.network.enter(sidecarCommand(this.plan, this.network, this.#context), 'sidecar');
  }

  #appStarted(): void {
    this.#prober?.restart();
    this.#setAppReady(this.#prober === null);
  }

  #appDied(): void {
    this.#prober?.stop();
    this.#setAppReady(false);
  }

  #sidecarStarted(): void {
    // A question planned for its predecessor would be asked beside ours.
    this.#poll?.cancel();
    void this.#askSidecar();
  }

  /** Asks as long as it lives; says once what keeps one that takes too long. */
  async #askSidecar(sinceMs = this.#context.clock.now(), told = false): Promise<void> {
    const { clock, report } = this.#context;
    const pid = this.sidecarPid;
    const answer = await ask(`http://${this.network.metricsAddress}/readyz`);
    // Another process may have taken its place while we asked.
    if (pid !== this.sidecarPid || pid === null) return;
    // No answer within its time is no refusal: whoever was ready may be busy.
    const ready = answer === null ? this.#sidecarReady : answer.status === 200;
    if (ready !== this.#sidecarReady) this.#setSidecarReady(ready);
    if (ready) {
      this.#poll = clock.after(SIDECAR_CHECK_MS, () => void this.#askSidecar());
      return;
    }
    const isSlow = clock.now() - sinceMs > SIDECAR_SLOW_MS;
    if (isSlow && !told) {
      const why = answer?.body.trim().replaceAll('\n', '; ') ?? 'it does not answer';
      report.problem(`the sidecar of ${this.plan.name} is not ready yet: ${why}`);
    }
    this.#poll = clock.after(SIDECAR_POLL_MS, () => void this.#askSidecar(sinceMs, told || isSlow));
  }

  #setSidecarReady(ready: boolean): void {
    this.#sidecarReady = ready;
    if (ready && this.#app.isIdle && !this.ending) this.#app.start();
    this.#publish();
    this.#onChange();
  }

  #setAppReady(ready: boolean): void {
    this.#appReady = ready;
    this.#publish();
    this.#onChange();
  }

  #publish(): void {
    const { plan, network } = this;
    const object = podObject({
      facts: this.#facts,
      owner: { deployment: plan.deployment, replicaSet: `${plan.deployment}-${plan.revision}` },
      container: plan.container,
      gracePeriodSeconds: plan.gracePeriodSeconds,
      podAddress: network.podAddress,
      meshed: plan.meshed,
      phase: this.#app.isIdle ? 'Pending' : 'Running',
      ready: this.ready,
      createdMs: this.#createdMs,
      endingMs: this.#endingMs,
    });
    this.#context.objects.write(this.#objectName, object);
  }

  #wait(ms: number): Promise<void> {
    return new Promise((resolve) => void this.#context.clock.after(ms, resolve));
  }
}

const NODE_NAME = 'local';

function factsOf(plan: ReplicaPlan, network: ReplicaNetwork): PodFacts {
  const { name, namespace, serviceAccount, labels, annotations } = plan;
  return {
    name,
    namespace,
    uid: `${namespace}.${name}`,
    nodeName: NODE_NAME,
    hostAddress: '127.0.0.1',
    serviceAccount,
    address: network.appAddress,
    labels,
    annotations,
  };
}

/** The program as a path, found in the PATH that the application gets rather than in ours. */
function inPath(program: string, searchPath: string): string {
  if (program.includes('/')) return program;
  for (const folder of searchPath.split(path.delimiter)) {
    const file = path.join(folder, program);
    try {
      accessSync(file, constants.X_OK);
      return file;
    } catch {
      continue;
    }
  }
  return program;
}
