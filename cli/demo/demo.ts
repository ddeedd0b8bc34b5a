/**
 * The demo: a mesh from a folder, a steady load on its front door, and a live picture of what the sidecars count.
 * Ends by itself after a duration, or when told; says how it went.
 */
import { systemClock, type Clock } from '#base/clock.ts';
import type { Service } from '../../control-plane/kinds/service.ts';
import type { Programs } from '../programs.ts';
import type { RunSettings } from '../run/settings.ts';
import { startMesh, type Mesh } from '../run/mesh.ts';
import type { Replica } from '../run/replica.ts';
import type { HopTotals } from './hops.ts';
import { Load, type Target } from './load.ts';
import type { Scene } from './scene.ts';
import type { Screen } from './screen.ts';
import { drawSummary, type SceneActs } from './summary.ts';
import { Watch } from './watch.ts';

export interface DemoOptions {
  readonly settings: RunSettings;
  readonly programs: Programs;
  readonly screen: Screen;
  /** Null: until `stopped`. */
  readonly durationMs: number | null;
  readonly rps: number;
  /** `NAMESPACE/NAME` of the Service that the load goes to; empty: the one called `frontend`, or the only one. */
  readonly front: string;
  readonly paths: readonly string[];
  /** Null: nothing happens by itself. */
  readonly scene: Scene | null;
  /** Aborted: end now. */
  readonly stopped: AbortSignal;
}

/** A mesh that is not up after this long will not come up. */
const SETTLE_MS = 60_000;
const LOOK_MS = 1000;
/** Sidecars count a request when it is over: give the last ones a moment. */
const LAST_LOOK_MS = 200;

/** Runs the demo; the exit code: 0 when no request failed. */
export async function runDemo(options: DemoOptions): Promise<number> {
  const { settings, screen, stopped } = options;
  screen.news(`starting the mesh of ${settings.folder} (logs: ${settings.logFolder})`);
  const mesh = await startMesh({ ...options, clock: systemClock, report: screen });
  try {
    if (!(await settles(mesh, systemClock, stopped))) {
      screen.problem(stopped.aborted ? 'stopped before the mesh was up' : notSettled(mesh, settings));
      return 1;
    }
    const front = findFront(mesh, options.front);
    if (typeof front === 'string') {
      screen.problem(front);
      return 1;
    }
    screen.news(`${mesh.replicas.length} replicas are ready; edit ${settings.folder} and watch`);
    return await showLoad(options, mesh, front);
  } finally {
    await mesh.close();
  }
}

async function settles(mesh: Mesh, clock: Clock, stopped: AbortSignal): Promise<boolean> {
  const deadlineMs = clock.now() + SETTLE_MS;
  while (!mesh.settled && !stopped.aborted && clock.now() < deadlineMs) {
    await Promise.race([mesh.changed(), pause(clock, 500)]);
  }
  return mesh.settled;
}

function notSettled(mesh: Mesh, settings: RunSettings): string {
  const waiting = mesh.replicas.filter((r) => !r.ready).map((r) => r.plan.name);
  const what = waiting.length === 0 ? 'not all replicas run' : `not ready: ${waiting.join(', ')}`;
  return `the mesh is not up after ${SETTLE_MS / 1000} s: ${what} (see ${settings.logFolder})`;
}

/** The Service at the front door, or the sentence that says why there is none. */
function findFront(mesh: Mesh, wanted: string): Service | string {
  const services = [...mesh.world.services.values()];
  const matching = services.filter(({ meta }) =>
    wanted === '' ? meta.name === 'frontend' : `${meta.namespace}/${meta.name}` === wanted || meta.name === wanted,
  );
  const [found] = matching.length > 0 || wanted !== '' || services.length !== 1 ? matching : services;
  return found ?? `there is no Service ${wanted || 'frontend'} to put the load on (name one with --front)`;
}

async function showLoad(options: DemoOptions, mesh: Mesh, front: Service): Promise<number> {
  const { screen, rps, paths } = options;
  const clock = systemClock;
  const load = new Load({ clock, rps, paths, host: front.meta.name, targets: () => frontReplicas(mesh, front) });
  const watch = new Watch(mesh, clock);
  await watch.begin();
  const startMs = clock.now();
  load.start();
  const play = new Play(options.scene, screen, watch);
  await showUntilEnd(options, mesh, load, watch, play);
  const elapsedMs = clock.now() - startMs;
  await load.stop();
  await pause(clock, LAST_LOOK_MS);
  await watch.look();
  const lines = drawSummary({
    load: load.totals,
    p50Ms: load.latencyMs(0.5),
    p99Ms: load.latencyMs(0.99),
    elapsedMs,
    hops: watch.all,
    recentHops: watch.sinceRoutesChanged,
    routes: [...mesh.world.httpRoutes.values()],
    scene: play.acts,
  });
  screen.end(lines);
  return load.totals.failed === 0 && load.totals.sent > 0 ? 0 : 1;
}

/** Looks and draws until the time is over or somebody wants it to end. */
async function showUntilEnd(options: DemoOptions, mesh: Mesh, load: Load, watch: Watch, play: Play): Promise<void> {
  const { screen, rps, stopped, settings } = options;
  const clock = systemClock;
  const startMs = clock.now();
  const endMs = startMs + (options.durationMs ?? Infinity);
  let drawnMs = startMs;
  while (!stopped.aborted && clock.now() < endMs) {
    await Promise.race([pause(clock, Math.min(LOOK_MS, endMs - clock.now())), whenAborted(stopped)]);
    await watch.look();
    play.go(clock.now() - startMs);
    if (clock.now() - drawnMs < screen.periodMs - LOOK_MS / 2) continue;
    drawnMs = clock.now();
    screen.show({
      title: `tulle demo: ${settings.folder}`,
      load: { rps, ...load.totals, p50Ms: load.latencyMs(0.5), p99Ms: load.latencyMs(0.99) },
      replicas: { ready: mesh.replicas.filter((r) => r.ready).length, all: mesh.replicas.length },
      ...watch.recent,
    });
  }
}

/** The scene as it goes on: says its lines, and keeps what was counted before the policy apart from what came after. */
class Play {
  readonly #scene: Scene | null;
  readonly #screen: Screen;
  readonly #watch: Watch;
  #state: 'opening' | 'before' | 'applied' | 'after' = 'opening';
  #before: readonly HopTotals[] = [];

  constructor(scene: Scene | null, screen: Screen, watch: Watch) {
    this.#scene = scene;
    this.#screen = screen;
    this.#watch = watch;
  }

  /** Null: there was no scene, or it did not come to its end. */
  get acts(): SceneActs | null {
    if (this.#scene === null || this.#state !== 'after') return null;
    return { flaky: this.#scene.flaky, before: this.#before, after: this.#watch.sinceMark };
  }

  /** @param elapsedMs since the load began */
  go(elapsedMs: number): void {
    const scene = this.#scene;
    if (scene === null) return;
    if (this.#state === 'opening') {
      this.#screen.news(scene.opening);
      this.#state = 'before';
    } else if (this.#state === 'before' && elapsedMs >= scene.dueMs) {
      this.#before = this.#watch.all;
      this.#screen.news(scene.apply());
      this.#state = 'applied';
    } else if (this.#state === 'applied' && elapsedMs >= scene.judgedMs) {
      this.#watch.mark();
      this.#state = 'after';
    }
  }
}

/** Where the replicas behind the Service's first port answer: the ready ones; when none is, all, as load balancers fail open. */
function frontReplicas(mesh: Mesh, front: Service): readonly Target[] {
  const ready = targetsAmong(
    mesh.replicas.filter((replica) => replica.ready),
    front,
  );
  return ready.length > 0 ? ready : targetsAmong(mesh.replicas, front);
}

function targetsAmong(replicas: readonly Replica[], front: Service): readonly Target[] {
  const [port] = front.spec.ports;
  if (port === undefined) return [];
  return replicas.flatMap(({ plan, network }) => {
    const isSelected =
      plan.namespace === front.meta.namespace &&
      Object.entries(front.spec.selector).every(([label, value]) => plan.labels[label] === value);
    const number =
      typeof port.targetPort === 'number'
        ? port.targetPort
        : plan.container.ports.find((p) => p.name === port.targetPort)?.containerPort;
    return isSelected && number !== undefined ? [{ address: network.podAddress, port: number }] : [];
  });
}

function pause(clock: Clock, ms: number): Promise<void> {
  return new Promise((resolve) => void clock.after(ms, resolve));
}

function whenAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}
