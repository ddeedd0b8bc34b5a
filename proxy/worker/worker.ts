/**
 * The data plane of one thread: takes snapshots and certificates, owns every connection of traffic.
 * Does not know whether it runs in the main thread or in one of its own: all that passes is plain messages.
 */
import { createWriteStream } from 'node:fs';
import type { Clock, Timer } from '#base/clock.ts';
import type { Logger } from '#base/log.ts';
import type { Random } from '#base/random.ts';
import { TimerWheel } from '#base/timer-wheel.ts';
import type { ClusterConfig, EndpointConfig, TrustConfig } from '../config/snapshot.ts';
import type { Exchange } from '../exchange/exchange.ts';
import { localCounts } from '../exchange/pod-counts.ts';
import type { EndpointMeters } from '../exchange/upstream.ts';
import { RateLimits } from '../filters/rate-limit.ts';
import { allocateRates } from '../filters/rate-table.ts';
import type { ForwardContext } from '../forwarding/context.ts';
import { GivenUp } from '../forwarding/given-up.ts';
import { workloadOf } from '../net/peer-identity.ts';
import { isListening } from '../net/probe.ts';
import { MeshTls } from '../net/tls.ts';
import type { MetricRegistry } from '../telemetry/metrics.ts';
import { PooledIds } from '../telemetry/ids.ts';
import { watchForEnd } from './application-end.ts';
import type { HealthHost } from './cluster-health.ts';
import { describeWorker, type WorkerState } from './describe.ts';
import type { ClusterEnv } from './cluster.ts';
import { Destinations } from './destinations.ts';
import { HttpConnections } from './http-connections.ts';
import { Inbound } from './inbound.ts';
import type { FromWorker, IdentityMaterial, ToWorker, WorkerSettings } from './messages.ts';
import { Meters, type Edge } from './meters.ts';
import { prepareExchange, recordExchange, type ObserveEnv } from './observe.ts';
import { RecentExchanges, type ExchangeFacts } from './recent.ts';
import { Outbound } from './outbound.ts';
import type { StackParts } from './parts.ts';
import { TcpTelemetry } from './tcp/connection.ts';
import { systemLookup } from '../resolve/lookup.ts';
import { NameResolver } from '../resolve/resolver.ts';
import { Runtime } from './runtime.ts';
import { SharedRows, type SharedMemory } from './shared-rows.ts';

export interface WorkerEnv {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly registry: MetricRegistry;
  /** Null: this is the only worker of the pod. */
  readonly memory: SharedMemory | null;
  readonly post: (message: FromWorker) => void;
}

const REPLAY_BYTES = 65_536;
/** How long a request waits for a destination or a first endpoint (fail fast after it). */
const WAIT_MS = 3000;

const BUDGET_SLIDE_MS = 1000;
/** In labels, for all places outside of the mesh. */
const PASSTHROUGH = 'passthrough';

type Direction = 'inbound' | 'outbound';

export class Worker {
  readonly #settings: WorkerSettings;
  readonly #env: WorkerEnv;
  readonly #wheel: TimerWheel;
  readonly #meters: Meters;
  readonly #tls: MeshTls;
  readonly #recent: RecentExchanges;
  readonly #resolver: NameResolver;
  readonly #rows: SharedRows | null;
  readonly #givenUp: GivenUp;
  readonly #rates: RateLimits;
  readonly #runtime: Runtime;
  readonly #destinations: Destinations;
  readonly #http: Record<Direction, HttpConnections>;
  readonly #stacks: { readonly inbound: Inbound; readonly outbound: Outbound };
  readonly #inboundMeters = new Map<string, EndpointMeters>();
  #identity: IdentityMaterial | null = null;
  #trust: TrustConfig | null = null;
  #inboundUpdates: Promise<void> = Promise.resolve();
  readonly #drainTimers: Timer[] = [];
  /** Stacks that are at their end: what closes there is cut by us. */
  readonly #closing = new Set<Direction>();

  constructor(settings: WorkerSettings, env: WorkerEnv) {
    this.#settings = settings;
    this.#env = env;
    this.#wheel = new TimerWheel(env.clock);
    this.#meters = new Meters(env.registry);
    this.#recent = new RecentExchanges(env.clock);
    this.#tls = new MeshTls(settings.trustDomain);
    this.#rows = env.memory === null ? null : new SharedRows(env.memory);
    this.#givenUp = new GivenUp(env.memory?.givenUp);
    this.#rates = new RateLimits(() => env.memory?.rates ?? allocateRates());
    const clusterEnv = this.#clusterEnv();
    this.#resolver = this.#createResolver();
    this.#runtime = new Runtime(clusterEnv, this.#resolver);
    this.#destinations = new Destinations(env.clock, settings.destinationIdleMs, WAIT_MS, env.post);
    const observe = this.#observeEnv();
    this.#http = { inbound: this.#connections('inbound', observe), outbound: this.#connections('outbound', observe) };
    const workers = env.memory?.workers ?? 1;
    const maxConnections = Math.ceil(settings.limits.maxConnections / workers);
    const parts = (direction: Direction): StackParts => ({
      settings,
      share: { maxConnections, reusePort: workers > 1 },
      clock: env.clock,
      log: env.log,
      meters: this.#meters,
      tls: this.#tls,
      runtime: this.#runtime,
      destinations: this.#destinations,
      clusterEnv,
      http: this.#http[direction],
      tcp: {
        clock: env.clock,
        random: env.random,
        wheel: this.#wheel,
        tls: this.#tls,
        keepAliveMs: settings.keepAliveMs,
        endpointWaitMs: WAIT_MS,
        isClosing: () => this.#closing.has(direction),
      },
      tcpTelemetry: new TcpTelemetry(direction, this.#meters, env.clock, observe.writeAccess),
      ownIdentity: () => this.#identity?.spiffeId ?? '',
      post: env.post,
    });
    this.#stacks = { inbound: new Inbound(parts('inbound')), outbound: new Outbound(parts('outbound')) };
    if (workers > 1) env.clock.every(BUDGET_SLIDE_MS, () => this.#runtime.slideBudgets(env.clock.now()));
  }

  /** Opens the listeners that the settings name; outbound first, for an application must not start with it missing. */
  async open(): Promise<readonly string[]> {
    return [...(await this.#stacks.outbound.open()), ...(await this.#stacks.inbound.open())];
  }

  receive(message: ToWorker): void {
    switch (message.kind) {
      case 'change':
        if (message.rows !== undefined) this.#rows?.learn(message.rows);
        this.#runtime.apply(message.change);
        if (message.change.trust !== undefined) this.#setTrust(message.change.trust);
        if (message.change.listeners.size > 0) this.#updateInbound();
        this.#destinations.update(message.change.destinations);
        break;
      case 'identity':
        this.#identity = message.identity;
        this.#updateTls();
        break;
      case 'health':
        this.#runtime.tellHealth(message.cluster, message.endpoint, message.why);
        break;
      case 'drain':
        if (message.direction === 'inbound') this.#drainInbound(message.deadlineMs);
        else this.#drainOutbound(message.deadlineMs);
        break;
    }
  }

  describe(): WorkerState {
    return describeWorker(this.#runtime, this.#destinations, this.#identity, {
      inbound: this.#http.inbound.size,
      outbound: this.#http.outbound.size,
    });
  }

  /** What happened to the requests of this request or trace id; empty: to all that are notable. */
  recall(id: string): readonly ExchangeFacts[] {
    return this.#recent.find(id);
  }

  /** Closes everything at once. */
  async close(): Promise<void> {
    await this.#inboundUpdates;
    for (const timer of this.#drainTimers) timer.cancel();
    this.#closeStack('inbound');
    this.#closeStack('outbound');
    this.#http.inbound.destroy();
    this.#http.outbound.destroy();
    this.#runtime.close();
    this.#resolver.close();
    this.#destinations.close();
  }

  #setTrust(trust: TrustConfig | null): void {
    this.#trust = trust;
    this.#updateTls();
  }

  #updateTls(): void {
    if (this.#identity === null || this.#trust === null) return;
    const { certChainPem, privateKeyPem } = this.#identity;
    const problem = this.#tls.update({ certChainPem, privateKeyPem, rootsPem: this.#trust.rootsPem });
    if (problem !== null) this.#env.log.error('certificates cannot be used; those before stay in force', { problem });
  }

  /** One after the other, for listening takes a moment and two at once would meet on the same port. */
  #updateInbound(): void {
    this.#inboundUpdates = this.#inboundUpdates.then(() => this.#stacks.inbound.update());
  }

  #drainInbound(deadlineMs: number): void {
    const { inbound } = this.#stacks;
    // At the deadline what is left is cut off; its end then ends the drain.
    const timer = this.#env.clock.after(deadlineMs, () => this.#closeStack('inbound'));
    this.#drainTimers.push(timer);
    void inbound.stopAccepting().then(() => {
      timer.cancel();
      this.#env.post({ kind: 'drained', direction: 'inbound' });
    });
    this.#http.inbound.drain();
  }

  /** Open as ever, and without a word to the application: while it ends it needs others as before. */
  #drainOutbound(deadlineMs: number): void {
    const { clock, post } = this.#env;
    const { outbound } = this.#stacks;
    const end = (): void => {
      deadline.cancel();
      watch.cancel();
      this.#closeStack('outbound');
      post({ kind: 'drained', direction: 'outbound' });
    };
    const deadline = clock.after(deadlineMs, end);
    const watch = watchForEnd(
      { clock, quietMs: () => outbound.quietMs, isServing: () => this.#isApplicationServing() },
      end,
    );
    this.#drainTimers.push(deadline, watch);
  }

  #closeStack(direction: Direction): void {
    this.#closing.add(direction);
    this.#stacks[direction].close();
  }

  async #isApplicationServing(): Promise<boolean> {
    const { appAddress, podAddresses } = this.#settings;
    const address = appAddress ?? podAddresses[0];
    if (address === undefined) return false;
    const answers = this.#stacks.inbound.ports.map((port) => isListening(address, port, this.#env.clock));
    return (await Promise.all(answers)).includes(true);
  }

  // --- what the parts need -----------------------------------------------------------------------------------------

  #connections(direction: Direction, observe: ObserveEnv): HttpConnections {
    const { limits, downstreamIdleMs } = this.#settings;
    const { clock, random } = this.#env;
    const localAnswers = (reason: string) => this.#meters.localAnswers.with(direction, reason);
    const context: ForwardContext = {
      direction,
      clock,
      random,
      wheel: this.#wheel,
      replayBytes: REPLAY_BYTES,
      maxBodyBytes: limits.maxBodyBytes,
      endpointWaitMs: WAIT_MS,
      givenUp: this.#givenUp,
      rates: this.#rates,
      mirrored: (outcome) => this.#meters.mirrored.with(outcome).inc(),
      fellBack: (cluster, reason) => this.#meters.fallbacks.with(cluster, reason).inc(),
      tunnels: this.#meters.tunnels.with(direction),
      prepare: (exchange) => prepareExchange(exchange, observe),
      record: (exchange) => recordExchange(exchange, observe, localAnswers),
    };
    return new HttpConnections({
      clock,
      wheel: this.#wheel,
      limits,
      headTimeoutMs: limits.headTimeoutMs,
      patience: limits.patience,
      idleTimeoutMs: downstreamIdleMs,
      context,
      meters: this.#meters,
    });
  }

  #createResolver(): NameResolver {
    const { clock, random } = this.#env;
    const { servers, hostsFile, ...bounds } = this.#settings.dns;
    return new NameResolver({
      clock,
      random,
      lookup: systemLookup({ clock, servers, hostsFile }),
      bounds,
      onAnswer: (kind) => this.#meters.dnsAnswers.with(kind).inc(),
    });
  }

  #clusterEnv(): ClusterEnv {
    const { limits, appIdleMs, peerIdleMs, appAddress } = this.#settings;
    return {
      clock: this.#env.clock,
      tls: this.#tls,
      keepAliveMs: this.#settings.keepAliveMs,
      appAddress:
        appAddress ?? (this.#settings.captureMode === 'redirect' ? (this.#settings.podAddresses[0] ?? null) : null),
      clientOptions: (config, isApplication) => ({
        clock: this.#env.clock,
        wheel: this.#wheel,
        limits,
        connectTimeoutMs: config.connectTimeoutMs,
        idleMs: isApplication ? appIdleMs : peerIdleMs,
        maxRequests: config.limits.requestsPerConnection ?? Infinity,
      }),
      endpointMeters: (config, endpoint) => this.#meters.edge(this.#outboundEdge(config, endpoint)),
      // A name that an application made up is no label.
      poolMeters: (config) => this.#meters.pool(config.discovery === 'original-dst' ? PASSTHROUGH : config.name),
      random: this.#env.random,
      outlierMeters: (config) => this.#meters.outlier(config.name),
      health: healthHost(this.#env, this.#meters),
      podCounts: (name) => this.#rows?.countsOf(name) ?? localCounts(),
    };
  }

  #outboundEdge(config: ClusterConfig, endpoint: EndpointConfig | null): Edge {
    const { pod } = this.#settings;
    return {
      direction: 'outbound',
      sourceNamespace: pod.namespace,
      sourceWorkload: pod.owner,
      destinationNamespace: config.service?.namespace ?? '',
      destinationService: config.service?.name ?? (config.discovery === 'original-dst' ? PASSTHROUGH : ''),
      destinationWorkload: endpoint?.workload?.owner ?? '',
      peer: endpoint?.mtls === true ? endpoint.identity : '',
    };
  }

  #observeEnv(): ObserveEnv {
    const { accessLog, accessLogPath } = this.#settings;
    const stream = accessLog === 'off' ? null : openAccessLog(accessLogPath, this.#env.log);
    return {
      clock: this.#env.clock,
      ids: new PooledIds(),
      meters: this.#meters,
      writeAccess: stream === null ? null : (line) => stream.write(line),
      recent: this.#recent,
      metersOf: (exchange) => this.#metersOf(exchange),
    };
  }

  /** Counters of inbound exchanges, by who called; of outbound ones that found no cluster, all in one. */
  #metersOf(exchange: Exchange): EndpointMeters {
    const { direction, identity } = exchange.peer;
    const key = `${direction} ${identity}`;
    const known = this.#inboundMeters.get(key);
    if (known !== undefined) return known;
    const { pod } = this.#settings;
    const inbound = direction === 'inbound';
    const source = inbound ? workloadOf(identity) : { namespace: pod.namespace, serviceAccount: pod.owner };
    const meters = this.#meters.edge({
      direction,
      sourceNamespace: source?.namespace ?? '',
      sourceWorkload: source?.serviceAccount ?? '',
      destinationNamespace: inbound ? pod.namespace : '',
      destinationService: '',
      destinationWorkload: inbound ? pod.owner : '',
      peer: identity,
    });
    this.#inboundMeters.set(key, meters);
    return meters;
  }
}

/** The first of the workers asks for all. */
function healthHost({ memory, log, post }: WorkerEnv, meters: Meters): HealthHost {
  return {
    asks: (memory?.slot ?? 0) === 0,
    events: (cluster) => meters.health(cluster, log),
    tell: (cluster, endpoint, why) => {
      if (memory !== null) post({ kind: 'health', cluster, endpoint, why });
    },
  };
}

/** A log that cannot be written costs its lines, never a request. */
function openAccessLog(path: string, log: Logger): NodeJS.WritableStream {
  if (path === '') return process.stdout;
  const stream = createWriteStream(path, { flags: 'a' });
  stream.on('error', (error) => log.error('the access log cannot be written', { path, error: error.message }));
  return stream;
}
