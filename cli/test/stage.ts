/**
 * A sidecar without sockets and with a clock that is played: the routes and clusters that the control plane's code makes of manifests, and
 * the data plane's own forwarding, retries, budgets, balancers and outlier detection on top of endpoints that do as a test says.
 * Knows no expectation. Rate limits and health checks are not played: the one is kept where requests arrive, the other needs a network.
 */
import { TYPE } from '#api/names.ts';
import { FakeClock } from '#base/fake-clock.ts';
import { seededRandom } from '#base/random.ts';
import { TimerWheel } from '#base/timer-wheel.ts';
import type { Client } from '../../control-plane/generate/client.ts';
import { fullName } from '../../control-plane/generate/plan.ts';
import { lookup } from '../../control-plane/model/lookups.ts';
import type { Mesh } from '../../control-plane/model/mesh.ts';
import { decodeCluster } from '../../proxy/config/decode/cluster.ts';
import { decodeEndpoints } from '../../proxy/config/decode/endpoints.ts';
import { decodeRoute } from '../../proxy/config/decode/route.ts';
import type { ClusterConfig, EndpointConfig, RouteTableConfig } from '../../proxy/config/snapshot.ts';
import type { Exchange } from '../../proxy/exchange/exchange.ts';
import { localCounts } from '../../proxy/exchange/pod-counts.ts';
import type { EndpointMeters } from '../../proxy/exchange/upstream.ts';
import { RateLimits } from '../../proxy/filters/rate-limit.ts';
import { allocateRates } from '../../proxy/filters/rate-table.ts';
import type { ForwardContext } from '../../proxy/forwarding/context.ts';
import { Forwarding } from '../../proxy/forwarding/forward.ts';
import { GivenUp } from '../../proxy/forwarding/given-up.ts';
import { bodyOfLength, NO_BODY } from '../../proxy/http/message.ts';
import { MeshTls } from '../../proxy/net/tls.ts';
import { linkRouteTable, type RouteTable } from '../../proxy/routing/table.ts';
import { PooledIds } from '../../proxy/telemetry/ids.ts';
import { Cluster, type ClusterEnv } from '../../proxy/worker/cluster.ts';
import { prepareExchange } from '../../proxy/worker/observe.ts';
import { loader, type Load } from '../explain/loader.ts';
import { readRequest } from '../explain/request.ts';
import { PlayedPool, type Asked } from './backend.ts';
import { PlayedClient } from './client.ts';
import type { EndpointSpec, RequestSpec, ScriptedAnswer } from './format.ts';

/** What became of a request. */
export interface Played {
  readonly exchange: Exchange;
  readonly client: PlayedClient;
  /** One for each try that reached an endpoint's stream. */
  readonly asked: readonly Asked[];
  readonly tookMs: number;
}

/** Deadlines fire at most so much late; in a real sidecar it is 20 ms. */
const TICK_MS = 5;
/** A request that is not over by then is a defect of ours or waits for something that the test never says. */
const PATIENCE_MS = 86_400_000;
/** Endpoints that a Service has in a test which says nothing. */
const UNSAID: readonly EndpointSpec[] = ['0', '1'].map((name) => ({ name, ready: true, zone: '', answers: null }));
const OK: ScriptedAnswer = { status: 200, fails: '', afterMs: 0, headers: {}, body: '' };
const REPLAY_BYTES = 65_536;
const WAIT_MS = 3000;

const NOBODY: EndpointMeters = { request: () => undefined, retry: () => undefined, hedge: () => undefined };

export interface StageOptions {
  readonly mesh: Mesh;
  /** `namespace` or `namespace/pod`. */
  readonly from: string;
  /** By `service:port` or `service.namespace:port`. */
  readonly endpoints: Readonly<Record<string, readonly EndpointSpec[]>>;
  readonly seed: number;
}

export class Stage {
  readonly clock = new FakeClock();
  readonly #mesh: Mesh;
  readonly #client: Client;
  readonly #endpoints: StageOptions['endpoints'];
  readonly #load: Load;
  readonly #context: ForwardContext;
  readonly #env: ClusterEnv;
  readonly #clusters = new Map<string, Cluster>();
  readonly #tables = new Map<string, RouteTable>();
  /** By address and port of an endpoint. */
  readonly #specs = new Map<string, { readonly name: string; readonly spec: EndpointSpec }>();
  readonly #asked: Asked[] = [];
  #answers: readonly ScriptedAnswer[] | null = null;
  #tries = 0;
  #done: Exchange | null = null;

  constructor({ mesh, from, endpoints, seed }: StageOptions) {
    this.#mesh = mesh;
    const [namespace = ''] = from.split('/');
    this.#client = { namespace, workload: mesh.workloads.has(from) ? from : null, dialect: 'sidecar' };
    this.#endpoints = endpoints;
    this.#load = loader(mesh, this.#client);
    const { clock } = this;
    const random = seededRandom(seed);
    const wheel = new TimerWheel(clock, TICK_MS);
    const ids = new PooledIds();
    this.#env = {
      clock,
      random,
      tls: new MeshTls(mesh.trustDomain),
      keepAliveMs: 0,
      appAddress: null,
      clientOptions: () => {
        throw new Error('no connection is opened here');
      },
      endpointMeters: () => NOBODY,
      poolMeters: () => ({
        connectionOpened: () => undefined,
        connectionClosed: () => undefined,
        connectFailed: () => undefined,
        abused: () => undefined,
      }),
      outlierMeters: () => ({ ejected: () => undefined, returned: () => undefined }),
      health: { asks: false, events: () => ({}) as never, tell: () => undefined },
      podCounts: localCounts,
      playedPool: (target) =>
        new PlayedPool(
          target,
          clock,
          ({ address, port }) => this.#answerOf(`${address}:${port}`),
          (asked) => void this.#asked.push(asked),
        ),
    };
    this.#context = {
      direction: 'outbound',
      clock,
      random,
      wheel,
      replayBytes: REPLAY_BYTES,
      maxBodyBytes: 0,
      endpointWaitMs: WAIT_MS,
      givenUp: new GivenUp(),
      rates: new RateLimits(allocateRates),
      mirrored: () => undefined,
      fellBack: () => undefined,
      tunnels: { add: () => undefined },
      prepare: (exchange) => prepareExchange(exchange, { ids }),
      record: (exchange) => (this.#done = exchange),
    };
  }

  /** Plays one request to its end; a sentence when it goes nowhere. @param answers of its tries, in their order; null: as endpoints do */
  play(request: RequestSpec, answers: readonly ScriptedAnswer[] | null): Played | string {
    const lines = Object.entries(request.headers).map(([name, value]) => `${name}: ${value}`);
    const asked = readRequest(request.method, request.url, lines);
    if (typeof asked === 'string') return asked;
    const table = this.#tableOf(asked.destination);
    if (typeof table === 'string') return table;
    const body = Buffer.from(request.body);
    asked.head.body = body.length > 0 ? bodyOfLength(body.length) : NO_BODY;
    this.#answers = answers;
    this.#tries = 0;
    this.#asked.length = 0;
    this.#done = null;
    const client = new PlayedClient();
    const startMs = this.clock.now();
    const peer = { direction: 'outbound', address: '127.0.0.1:1', identity: '', clientCert: '' } as const;
    const forwarding = new Forwarding(this.#context, client, peer, asked.head);
    forwarding.begin(table, this.#clusters);
    if (body.length > 0) {
      forwarding.onRequestData(body, 0, body.length);
      forwarding.onRequestEnd(null);
    }
    while (this.#done === null && this.clock.step(PATIENCE_MS)) continue;
    if (this.#done === null) return 'it is never over: some answer says silence, and no timeout ends it';
    return { exchange: this.#done, client, asked: [...this.#asked], tookMs: this.clock.now() - startMs };
  }

  /** `reviews-v1/0`: how a test calls the endpoint at an address. */
  nameOf(address: string): string {
    return this.#specs.get(address)?.name ?? address;
  }

  #answerOf(address: string): ScriptedAnswer {
    const own = this.#specs.get(address)?.spec.answers ?? null;
    const answers = this.#answers ?? own ?? [OK];
    const answer = answers[Math.min(this.#tries, answers.length - 1)] ?? OK;
    this.#tries++;
    return answer;
  }

  #tableOf(destination: string): RouteTable | string {
    const found = lookup(this.#mesh, destination, this.#client.namespace);
    if (found === null) return `no Service has the name and port ${destination}`;
    const name = fullName(found);
    const known = this.#tables.get(name);
    if (known !== undefined) return known;
    const config = this.#load(TYPE.route, name, decodeRoute);
    if (config === null) return `${name} carries no requests`;
    for (const cluster of clustersOf(config)) this.#openCluster(cluster);
    const table = linkRouteTable(config);
    this.#tables.set(name, table);
    return table;
  }

  #openCluster(name: string): void {
    if (this.#clusters.has(name)) return;
    const config = this.#load(TYPE.cluster, name, decodeCluster);
    if (config === null) return;
    const { healthCheck: _unplayed, ...played } = config;
    const cluster = new Cluster({ ...played, discovery: 'eds', endpoints: null }, this.#env);
    cluster.setEndpoints({ cluster: name, endpoints: this.#endpointsOf(config) });
    this.#clusters.set(name, cluster);
  }

  /** What the test says, else what the manifests have, else two that are ready. */
  #endpointsOf(config: ClusterConfig): readonly EndpointConfig[] {
    const short = config.service === null ? config.name : `${config.service.name}:${config.service.port}`;
    const long =
      config.service === null
        ? config.name
        : `${config.service.name}.${config.service.namespace}:${config.service.port}`;
    const said = this.#endpoints[long] ?? this.#endpoints[short];
    const written =
      said === undefined ? (this.#load(TYPE.endpoints, config.name, decodeEndpoints)?.endpoints ?? []) : [];
    const service = config.service?.name ?? config.name;
    if (written.length > 0) {
      return written.map((one) => this.#named(`${service}/${one.workload?.pod ?? one.address}`, UNSAID[0]!, one));
    }
    const count = this.#clusters.size;
    return (said ?? UNSAID).map((spec, i) =>
      this.#named(`${service}/${spec.name}`, spec, {
        address: `10.${(count >> 8) & 255}.${count & 255}.${i + 1}`,
        port: config.service?.port ?? 80,
        healthy: spec.ready,
        weight: 1,
        zone: spec.zone,
        mtls: false,
        identity: '',
        workload: null,
      }),
    );
  }

  #named(name: string, spec: EndpointSpec, endpoint: EndpointConfig): EndpointConfig {
    this.#specs.set(`${endpoint.address}:${endpoint.port}`, { name, spec });
    return endpoint;
  }
}

function clustersOf({ virtualHosts }: RouteTableConfig): readonly string[] {
  return virtualHosts
    .flatMap(({ routes }) => routes)
    .flatMap(({ action }) => {
      if (action.kind !== 'forward') return [];
      const fallback = action.fallback?.kind === 'cluster' ? [action.fallback.cluster] : [];
      return [...action.clusters, ...(action.mirrors ?? [])].map(({ cluster }) => cluster).concat(fallback);
    });
}
