/**
 * A cluster at run time: its endpoints with their pools, the picker over them, and what is counted for all of them together.
 * Endpoints that stay keep pool and latency when the set changes. Knows no request and no xDS.
 */
import type { Clock } from '#base/clock.ts';
import { PeakEwma } from '#base/ewma.ts';
import type { Random } from '#base/random.ts';
import { INBOUND_LISTENER } from '#api/names.ts';
import type { EndpointHealth } from '../balancing/health.ts';
import { OutlierDetector, type EjectionReason, type EndpointJudge } from '../balancing/outlier.ts';
import { linkPicker } from '../balancing/picker.ts';
import type { ClusterConfig, EndpointConfig, EndpointsConfig } from '../config/snapshot.ts';
import type { Picker } from '../exchange/destination.ts';
import type { UpstreamSink, UpstreamStream } from '../exchange/stream.ts';
import type { EndpointMeters, EndpointWaiter, UpstreamCluster, UpstreamEndpoint } from '../exchange/upstream.ts';
import type { PodCounts } from '../exchange/pod-counts.ts';
import { RetryBudget } from '../forwarding/retry-budget.ts';
import { HTTP_PROTOCOLS, openSocket, type OpenedSocket, type Target } from '../net/connect.ts';
import type { OnData } from '../net/reads.ts';
import { AddressOrder } from '../net/address-order.ts';
import { Origination } from '../net/origination.ts';
import type { MeshTls } from '../net/tls.ts';
import type { H1ClientOptions } from '../upstream/h1-client.ts';
import { H1Pool } from '../upstream/h1-pool.ts';
import { DEFAULT_H2_CLIENT_TUNING } from '../upstream/h2-client.ts';
import { H2Pool } from '../upstream/h2-pool.ts';
import type { ClusterCounts, EndpointPool, PoolMeters } from '../upstream/pool.ts';
import { ClusterHealth, type HealthHost } from './cluster-health.ts';
import { EndpointProbe } from './health-probe.ts';

/** What is counted of ejections; `now` is how many are out. */
export interface OutlierMeters {
  ejected(reason: EjectionReason, now: number): void;
  returned(now: number): void;
}

/** What a cluster needs from the worker. */
export interface ClusterEnv {
  readonly clock: Clock;
  readonly tls: MeshTls;
  clientOptions(config: ClusterConfig, isApplication: boolean): H1ClientOptions;
  endpointMeters(config: ClusterConfig, endpoint: EndpointConfig | null): EndpointMeters;
  poolMeters(config: ClusterConfig): PoolMeters;
  readonly random: Random;
  outlierMeters(config: ClusterConfig): OutlierMeters;
  readonly health: HealthHost;
  /** Silence after which TCP asks whether an endpoint is there; 0: never. */
  readonly keepAliveMs: number;
  /** What the cluster shares with other workers of the pod. */
  podCounts(cluster: string): PodCounts;
  /** Where the application beside us listens; null: at the endpoint's own address. */
  readonly appAddress: string | null;
  /** In the place of real connections, for who plays requests without any; absent: real ones. */
  readonly playedPool?: (target: Target, config: ClusterConfig) => EndpointPool;
}

/** Requests that wait for a first endpoint; more are answered at once (fail fast). */
const MAX_WAITING = 1000;
const DEFAULT_EWMA = { defaultRttMs: 30, decayMs: 10_000 };

export class Endpoint implements UpstreamEndpoint {
  config: EndpointConfig;
  inFlight = 0;
  available = true;
  passing = true;
  health: EndpointHealth | null = null;
  observer: EndpointJudge | null = null;
  readonly latency: PeakEwma;
  readonly sinceMs: number;
  readonly meters: EndpointMeters;
  readonly target: Target;
  readonly pool: EndpointPool;

  constructor(
    config: EndpointConfig,
    target: Target,
    latency: PeakEwma,
    sinceMs: number,
    meters: EndpointMeters,
    pool: EndpointPool,
  ) {
    this.config = config;
    this.target = target;
    this.latency = latency;
    this.sinceMs = sinceMs;
    this.meters = meters;
    this.pool = pool;
  }

  acquire(sink: UpstreamSink): UpstreamStream | null {
    this.observer?.attemptBegins();
    return this.pool.acquire(sink);
  }

  cancel(sink: UpstreamSink): void {
    this.pool.cancel(sink);
  }
}

/**
 * One connection carries all requests to an endpoint, and answers that nobody takes use up its window: 8 MiB let 32 of them stand before a
 * further connection is opened.
 */
const MESH_TUNING = { ...DEFAULT_H2_CLIENT_TUNING, connectionWindowBytes: 8 * 1024 * 1024 };
/** A gRPC server ends connections that ping it often; one beside us dies with its connections anyway. */
const APPLICATION_TUNING = { ...MESH_TUNING, keepAliveIntervalMs: 0 };

/** Endpoints with the same key are the same place, reached the same way. */
function endpointKey(endpoint: EndpointConfig): string {
  return `${endpoint.address} ${endpoint.port} ${endpoint.mtls ? endpoint.identity : ''} ${endpoint.workload?.pod ?? ''} ${endpoint.otherAddresses?.join(' ') ?? ''}`;
}

/** What of a cluster decides how its endpoints are reached and told apart in metrics; with the same, they stay. */
function reachOf(config: ClusterConfig): string {
  const limits = config.limits.requestsPerConnection ?? 0;
  return JSON.stringify({
    ...config,
    endpoints: null,
    limits,
    retryBudget: null,
    outlier: null,
    healthCheck: null,
    balancer: ewmaOf(config),
  });
}

function orderOf({ address, otherAddresses = [] }: EndpointConfig, clock: Clock): AddressOrder | null {
  return otherAddresses.length === 0 ? null : new AddressOrder([address, ...otherAddresses], clock);
}

function ewmaOf({ balancer }: ClusterConfig): { readonly defaultRttMs: number; readonly decayMs: number } {
  const { defaultRttMs, decayMs } = balancer.kind === 'peak-ewma' ? balancer : DEFAULT_EWMA;
  return { defaultRttMs, decayMs };
}

export class Cluster implements UpstreamCluster {
  config: ClusterConfig;
  meters: EndpointMeters;
  readonly pod: PodCounts;
  picker: Picker<Endpoint>;
  readonly #env: ClusterEnv;
  readonly #counts: ClusterCounts;
  #budget: RetryBudget;
  #detector: OutlierDetector | null = null;
  readonly #health: ClusterHealth<Endpoint>;
  readonly poolMeters: PoolMeters;
  readonly #waiting = new Set<EndpointWaiter>();
  #endpoints = new Map<string, Endpoint>();
  #known: EndpointsConfig | null = null;

  constructor(config: ClusterConfig, env: ClusterEnv) {
    this.config = config;
    this.#env = env;
    this.meters = env.endpointMeters(config, null);
    this.poolMeters = env.poolMeters(config);
    this.pod = env.podCounts(config.name);
    this.#budget = new RetryBudget(config.retryBudget, env.clock.now(), this.pod);
    this.#counts = {
      connections: this.pod.connections,
      pending: this.pod.pending,
      maxConnections: config.limits.connections,
      maxPending: config.limits.pendingRequests,
    };
    this.#judge(config.outlier);
    const probe = (endpoint: Endpoint): EndpointProbe => this.#probeOf(endpoint);
    this.#health = new ClusterHealth(env, probe, () => this.#wake());
    this.#health.update(config, []);
    this.picker = linkPicker<Endpoint>(config.balancer, []);
    if (config.endpoints !== null) this.setEndpoints(config.endpoints);
  }

  get endpoints(): Iterable<Endpoint> {
    return this.#endpoints.values();
  }

  get isKnown(): boolean {
    return this.#known !== null;
  }

  /** Against `config.limits`; both may be over it for a while after a change. */
  get counts(): Readonly<ClusterCounts> {
    return this.#counts;
  }

  /**
   * Puts another policy in force. What is under way or waits goes on and stays counted; endpoints are made anew only when they would be
   * reached in another way.
   */
  update(config: ClusterConfig): void {
    const before = this.config;
    this.config = config;
    this.#counts.maxConnections = config.limits.connections;
    this.#counts.maxPending = config.limits.pendingRequests;
    if (JSON.stringify(before.retryBudget) !== JSON.stringify(config.retryBudget)) {
      this.#budget.close();
      this.#budget = new RetryBudget(config.retryBudget, this.#env.clock.now(), this.pod);
    }
    this.#judge(config.outlier);
    this.#health.update(config, this.endpoints);
    const endpoints = config.endpoints ?? this.#known;
    if (reachOf(before) !== reachOf(config)) {
      this.meters = this.#env.endpointMeters(config, null);
      this.close();
      for (const endpoint of this.#endpoints.values()) this.#release(endpoint);
      this.#endpoints = new Map();
    }
    this.#known = null;
    this.setEndpoints(endpoints ?? { cluster: config.name, endpoints: [] });
  }

  /** Puts another set in force; what left finishes its requests. */
  setEndpoints(next: EndpointsConfig): void {
    if (next === this.#known) return;
    // Those of the first set are nothing new: we are.
    const sinceMs = this.#known === null ? -Infinity : this.#env.clock.now();
    this.#known = next;
    const before = this.#endpoints;
    const after = new Map<string, Endpoint>();
    for (const config of next.endpoints) {
      const key = endpointKey(config);
      const known = before.get(key);
      // Who was away and is back is another process: what the former one was slow or failed at says nothing about it.
      const isBack = known !== undefined && config.healthy && !known.config.healthy;
      const endpoint = known === undefined || isBack ? this.#createEndpoint(config, sinceMs) : known;
      endpoint.config = config;
      after.set(key, endpoint);
    }
    this.#endpoints = after;
    this.picker = linkPicker(this.config.balancer, [...after.values()]);
    for (const [key, endpoint] of before) {
      if (after.get(key) === endpoint) continue;
      endpoint.pool.close();
      this.#release(endpoint);
    }
    this.#wake();
  }

  /** What another worker found of an endpoint. @param why it fails its checks; empty: it passes */
  tellHealth(endpoint: string, why: string): void {
    this.#health.tell(this.endpoints, endpoint, why);
  }

  /** Counts an opaque connection; false: there are too many. */
  openTcp(): boolean {
    return this.pod.connections.take(this.#counts.maxConnections);
  }

  closeTcp(): void {
    this.pod.connections.add(-1);
  }

  budgetDeposit(nowMs: number): void {
    this.#budget.countRequest(nowMs);
  }

  budgetWithdraw(nowMs: number): boolean {
    return this.#budget.takeRetry(nowMs);
  }

  wait(waiter: EndpointWaiter): boolean {
    if (this.#waiting.size >= MAX_WAITING) return false;
    this.#waiting.add(waiter);
    return true;
  }

  unwait(waiter: EndpointWaiter): void {
    this.#waiting.delete(waiter);
  }

  /** Other workers count with what this one has in its window, so that must not get old. */
  slideBudget(nowMs: number): void {
    this.#budget.slide(nowMs);
  }

  close(): void {
    for (const endpoint of this.#endpoints.values()) endpoint.pool.close();
  }

  /** It is gone for good. */
  remove(): void {
    this.close();
    this.#budget.close();
    this.#judge(undefined);
    this.#health.close(this.endpoints);
  }

  /** Puts another outlier detection in force; who was ejected by the former one stays so for its time, or returns when there is none. */
  #judge(config: ClusterConfig['outlier']): void {
    const detector = this.#detector;
    if (config === undefined) {
      detector?.close();
      this.#detector = null;
      for (const endpoint of this.#endpoints.values()) endpoint.observer = null;
    } else if (detector !== null) detector.update(config);
    else {
      const { clock, random } = this.#env;
      const meters = this.#env.outlierMeters(this.config);
      const added = new OutlierDetector(config, {
        clock,
        random,
        events: {
          ejected: (reason) => meters.ejected(reason, added.ejected),
          returned: () => {
            meters.returned(added.ejected);
            this.#wake();
          },
        },
      });
      this.#detector = added;
      for (const endpoint of this.#endpoints.values()) endpoint.observer = added.add(endpoint);
    }
  }

  #release(endpoint: Endpoint): void {
    if (endpoint.observer !== null) this.#detector?.remove(endpoint.observer);
    endpoint.observer = null;
    this.#health.remove(endpoint);
  }

  #wake(): void {
    const waiting = [...this.#waiting];
    for (const waiter of waiting) waiter.onEndpoints();
  }

  /** HTTP/2 between sidecars and where the application speaks it; else HTTP/1.1. */
  #createPool(
    target: Target,
    isApplication: boolean,
    counts: ClusterCounts = this.#counts,
    meters: PoolMeters = this.poolMeters,
    http2 = this.config.http2,
  ): EndpointPool {
    const { tls, playedPool } = this.#env;
    if (playedPool !== undefined) return playedPool(target, this.config);
    const open = (onData: OnData): OpenedSocket => {
      const opened = openSocket(target, tls, HTTP_PROTOCOLS, onData);
      if (opened === null) throw new Error('a pool opens connections only when the identity is there');
      return opened;
    };
    const options = this.#env.clientOptions(this.config, isApplication);
    if (!target.mtls && !http2) return new H1Pool(open, options, counts, meters);
    const canOpen = (): boolean => !target.mtls || tls.isReady;
    const tuning = isApplication ? APPLICATION_TUNING : MESH_TUNING;
    return new H2Pool(open, canOpen, { ...options, tuning }, counts, meters);
  }

  #probeOf({ target }: Endpoint): EndpointProbe {
    return new EndpointProbe(target, this.#env.tls, (counts, meters, http2) =>
      this.#createPool(target, false, counts, meters, http2 || this.config.http2),
    );
  }

  #createEndpoint(config: EndpointConfig, sinceMs: number): Endpoint {
    const env = this.#env;
    const { name } = this.config;
    const isApplication = name.startsWith(`${INBOUND_LISTENER}|`);
    const target: Target = {
      address: isApplication ? (env.appAddress ?? config.address) : config.address,
      port: config.port,
      mtls: config.mtls,
      serverName: name.slice(0, name.lastIndexOf(':')),
      identities: config.identity === '' ? this.config.peerIdentities : [config.identity],
      keepAliveMs: env.keepAliveMs,
      order: orderOf(config, env.clock),
      origination: this.config.tls === undefined ? null : new Origination(this.config.tls, env.clock),
    };
    const pool = this.#createPool(target, isApplication);
    const { defaultRttMs, decayMs } = ewmaOf(this.config);
    const latency = new PeakEwma(defaultRttMs, decayMs, env.clock.now());
    const endpoint = new Endpoint(config, target, latency, sinceMs, env.endpointMeters(this.config, config), pool);
    endpoint.observer = this.#detector?.add(endpoint) ?? null;
    this.#health.add(endpoint);
    return endpoint;
  }
}
