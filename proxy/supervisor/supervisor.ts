/**
 * Looks after the data plane: gives it snapshots and certificates, answers probes, leads it through its end.
 * Speaks with the worker in messages only, and carries no traffic.
 */
import { reportGauges } from './gauges.ts';
import type { Clock } from '#base/clock.ts';
import type { Logger } from '#base/log.ts';
import type { Random } from '#base/random.ts';
import { Scope } from '#base/scope.ts';
import type { FamilyView, MetricRegistry } from '../telemetry/metrics.ts';
import type { DestinationState } from '../config/snapshot.ts';
import type { WorkerState } from '../worker/describe.ts';
import type { ExchangeFacts } from '../worker/recent.ts';
import type { FromWorker, HostPort, ToWorker } from '../worker/messages.ts';
import { adminPages, metricsPages, type AdminSources } from './admin/pages.ts';
import { AdminServer } from './admin/server.ts';
import { authorityClient } from './identity/authority-client.ts';
import { IdentityRotation } from './identity/rotation.ts';
import type { ControlPlaneAddress, ReadFile } from './rpc/access.ts';
import { SnapshotFeed } from './xds/feed.ts';

/** What the supervisor has to know; a part of the sidecar's settings. */
export interface SupervisorSettings {
  readonly controlPlane: ControlPlaneAddress;
  readonly pod: {
    readonly namespace: string;
    readonly name: string;
    readonly owner: string;
    readonly serviceAccount: string;
  };
  readonly trustDomain: string;
  /** Where the pod runs, said to the control plane; absent or empty: it may know. */
  readonly zone?: string;
  readonly adminAddress: HostPort;
  readonly metricsAddress: HostPort;
  readonly leafTtlMs: number;
  readonly maxDestinations: number;
  readonly drainDeadlineMs: number;
}

export interface SupervisorEnv {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  /** Of the supervisor's own. */
  readonly registry: MetricRegistry;
  /** Of the whole sidecar, for those who ask. */
  readonly metrics: { families(): Iterable<FamilyView> };
  readonly readFile: ReadFile;
  /** To the worker. */
  readonly post: (message: ToWorker) => void;
  readonly describeWorker: () => Promise<WorkerState>;
  readonly recall: (id: string) => Promise<readonly ExchangeFacts[]>;
  /** Somebody asked for the end; called once. */
  readonly onDrain: () => void;
}

type Direction = 'inbound' | 'outbound';

/** For the last word of a worker at its deadline. */
const DRAIN_GRACE_MS = 1000;

export class Supervisor {
  readonly #settings: SupervisorSettings;
  readonly #env: SupervisorEnv;
  readonly #feed: SnapshotFeed;
  readonly #rotation: IdentityRotation;
  readonly #scope = new Scope();
  readonly #drained: Record<Direction, PromiseWithResolvers<void>> = {
    inbound: Promise.withResolvers(),
    outbound: Promise.withResolvers(),
  };
  #isListening = false;
  #wasReady = false;
  #drain: Promise<void> | null = null;

  constructor(settings: SupervisorSettings, env: SupervisorEnv) {
    this.#settings = settings;
    this.#env = env;
    const { controlPlane, pod, trustDomain } = settings;
    const { clock, random, log, readFile, post } = env;
    this.#feed = new SnapshotFeed({
      controlPlane,
      node: nodeOf(settings),
      maxDestinations: settings.maxDestinations,
      onChange: (change) => {
        post({ kind: 'change', change });
        this.#tellReady();
      },
      clock,
      random,
      log,
      readFile,
    });
    this.#rotation = new IdentityRotation({
      spiffeId: `spiffe://${trustDomain}/ns/${pod.namespace}/sa/${pod.serviceAccount}`,
      sign: authorityClient(controlPlane, settings.leafTtlMs, clock, readFile),
      onIdentity: (identity) => {
        post({ kind: 'identity', identity });
        this.#tellReady();
      },
      clock,
      random,
      log,
    });
  }

  /** Why the sidecar is not ready; empty: it is. */
  get notReady(): readonly string[] {
    return [
      ...(this.#drain === null ? [] : ['draining']),
      ...(this.#isListening ? [] : ['listeners are not open yet']),
      ...(this.#rotation.current === null ? ['no certificate in force'] : []),
      ...(this.#feed.isComplete ? [] : ['configuration of the inbound side has not come yet']),
    ];
  }

  /** Opens the admin ports and begins to ask the control plane; the ports. Rejects when one is taken. */
  async start(): Promise<{ readonly adminPort: number; readonly metricsPort: number }> {
    const sources = this.#sources();
    this.#scope.add(reportGauges(this.#env, this.#feed, () => this.#rotation.current));
    const admin = new AdminServer(adminPages(sources));
    const adminPort = await admin.open(this.#settings.adminAddress);
    this.#scope.add(() => admin.close());
    const metrics = new AdminServer(metricsPages(sources));
    const metricsPort = await metrics.open(this.#settings.metricsAddress);
    this.#scope.add(() => metrics.close());
    this.#feed.start();
    this.#scope.add(() => this.#feed.close());
    this.#rotation.start();
    this.#scope.add(() => this.#rotation.close());
    return { adminPort, metricsPort };
  }

  /** What a worker has to be told that starts later than others. */
  catchUp(): readonly ToWorker[] {
    const identity = this.#rotation.current;
    return [
      { kind: 'change', change: this.#feed.everything },
      ...(identity === null ? [] : [{ kind: 'identity', identity } as const]),
    ];
  }

  stateOf(destination: string): DestinationState | undefined {
    return this.#feed.destinations.get(destination);
  }

  /** The worker's listeners are open. */
  listening(): void {
    this.#isListening = true;
    this.#tellReady();
  }

  receive(message: FromWorker): void {
    switch (message.kind) {
      case 'want':
        this.#feed.want(message.destination);
        break;
      case 'idle':
        this.#feed.release(message.destination);
        break;
      case 'listening':
        this.#env.log.info('listening', { what: message.what, address: message.address, port: message.port });
        break;
      case 'drained':
        this.#drained[message.direction].resolve();
        break;
      case 'health':
        // Among workers only.
        break;
    }
  }

  /**
   * Readiness off; inbound work ends first, then outbound, which stays open until the application has ended; both within the deadline.
   * Later calls get the same promise.
   */
  drain(): Promise<void> {
    this.#drain ??= this.#runDrain();
    return this.#drain;
  }

  async close(): Promise<void> {
    for (const error of await this.#scope.close()) this.#env.log.error('closing failed', { reason: error.message });
  }

  async #runDrain(): Promise<void> {
    const { clock, post, log } = this.#env;
    const endMs = clock.now() + this.#settings.drainDeadlineMs;
    log.info('draining', { deadlineMs: this.#settings.drainDeadlineMs });
    for (const direction of ['inbound', 'outbound'] as const) {
      const deadlineMs = Math.max(0, endMs - clock.now());
      post({ kind: 'drain', direction, deadlineMs });
      // Workers keep the deadline themselves; one that stands still keeps nothing.
      const late = clock.after(deadlineMs + DRAIN_GRACE_MS, () => {
        log.error('a worker does not end', { direction, deadlineMs });
        this.#drained[direction].resolve();
      });
      await this.#drained[direction].promise;
      late.cancel();
    }
  }

  #tellReady(): void {
    if (this.#wasReady || this.notReady.length > 0) return;
    this.#wasReady = true;
    this.#env.log.info('ready');
  }

  #sources(): AdminSources {
    const { metrics, clock, describeWorker, recall, onDrain } = this.#env;
    return {
      notReady: () => this.notReady,
      snapshot: () => this.#feed.snapshot,
      destinations: () => this.#feed.destinations,
      nacks: () => this.#feed.nacks,
      connected: () => this.#feed.connected.value,
      identity: () => this.#rotation.current,
      worker: describeWorker,
      recall,
      drain: () => (this.#drain === null ? onDrain() : undefined),
      metrics,
      startedMs: clock.wall() - clock.now(),
    };
  }
}

/** Who we say we are; the token must say the same (docs/wire.md). */
function nodeOf({ pod, zone = '' }: SupervisorSettings): ConstructorParameters<typeof SnapshotFeed>[0]['node'] {
  const { namespace, name, owner } = pod;
  return {
    id: `sidecar~${name}~${namespace}`,
    cluster: owner,
    metadata: undefined,
    locality: zone === '' ? undefined : { region: '', zone, subZone: '' },
    userAgentName: 'tulle',
    userAgentVersionType: undefined,
    clientFeatures: [],
  };
}
