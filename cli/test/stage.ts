/**
 * A sidecar without sockets and with a clock that is played: the routes and clusters that the control plane's code makes of manifests, and
 * the data plane's own forwarding, retries, budgets, balancers and outlier detection on top of endpoints that do as a test says.
 * Knows no expectation. Rate limits and health checks are not played: the one is kept where requests arrive, the other needs a network.
 */
import { addressName, TYPE } from '#api/names.ts';
import { FakeClock } from '#base/fake-clock.ts';
import { seededRandom } from '#base/random.ts';
import { TimerWheel } from '#base/timer-wheel.ts';
import type { Client } from '../../control-plane/generate/client.ts';
import { fullName } from '../../control-plane/generate/plan.ts';
import { lookup } from '../../control-plane/model/lookups.ts';
import { portKey, type Mesh } from '../../control-plane/model/mesh.ts';
import { decodeCluster } from '../../proxy/config/decode/cluster.ts';
import { decodeEndpoints } from '../../proxy/config/decode/endpoints.ts';
import { decodeRoute } from '../../proxy/config/decode/route.ts';
import type { ClusterConfig, EndpointConfig, RouteTableConfig } from '../../proxy/config/snapshot.ts';
import type { Exchange } from '../../proxy/exchange/exchange.ts';
import type { ForwardContext } from '../../proxy/forwarding/context.ts';
import { Forwarding } from '../../proxy/forwarding/forward.ts';
import { bodyOfLength, NO_BODY } from '../../proxy/http/message.ts';
import { linkRouteTable, type RouteTable } from '../../proxy/routing/table.ts';
import { Cluster, type ClusterEnv } from '../../proxy/worker/cluster.ts';
import type { Load, LoadCache } from '../explain/loader.ts';
import { readRequest } from '../explain/request.ts';
import { PlayedPool, type Asked, type Scripted } from './backend.ts';
import { PlayedClient } from './client.ts';
import { outside, type TestEndpoint, type TestMesh } from './endpoints.ts';
import type { RequestSpec, ScriptedAnswer } from './format.ts';
import { playedClusterEnv, playedContext } from './surroundings.ts';

/** What became of a request. */
export interface Played {
  readonly exchange: Exchange;
  readonly client: PlayedClient;
  /** One for each try that reached an endpoint. */
  readonly asked: readonly Asked[];
  /** Services that got a copy (RequestMirror). */
  readonly copies: readonly string[];
  readonly tookMs: number;
}

/** Deadlines fire at most so much late; in a real sidecar it is 20 ms. */
const TICK_MS = 5;
/** A request that is not over by then waits for something that the test never says. */
const PATIENCE_MS = 86_400_000;
const OK: ScriptedAnswer = { status: 200, fails: '', afterMs: 0, headers: {}, body: '' };

export interface StageOptions extends TestMesh {
  /** `namespace` or `namespace/pod`. */
  readonly from: string;
  /** Where the client runs; empty: where its pod does. */
  readonly zone: string;
  readonly seed: number;
  readonly cache: LoadCache;
}

export class Stage {
  readonly clock = new FakeClock();
  readonly #mesh: Mesh;
  readonly #client: Client;
  readonly #endpoints: TestMesh['endpoints'];
  readonly #load: Load;
  readonly #context: ForwardContext;
  readonly #env: ClusterEnv;
  readonly #clusters = new Map<string, Cluster>();
  readonly #tables = new Map<string, RouteTable>();
  readonly #names = new Map<EndpointConfig, string>();
  /** How often an endpoint was asked that answers by itself. */
  readonly #turns = new Map<TestEndpoint, number>();
  #exchange: Exchange | null = null;
  #answers: readonly ScriptedAnswer[] | null = null;
  #asked: Asked[] = [];
  #copies: string[] = [];
  #tries = 0;
  #isOver = false;

  constructor({ mesh, endpoints, from, zone, seed, cache }: StageOptions) {
    this.#mesh = mesh;
    const [namespace = ''] = from.split('/');
    const workload = mesh.workloads.has(from) ? from : null;
    this.#client = { namespace, workload, dialect: 'sidecar', ...(zone !== '' && { zone }) };
    this.#endpoints = endpoints;
    this.#load = cache.loader(mesh, this.#client);
    const random = seededRandom(seed);
    const wheel = new TimerWheel(this.clock, TICK_MS);
    this.#env = playedClusterEnv({ clock: this.clock, random }, mesh.trustDomain, (target, config) => {
      const found = this.#endpointsOf(config).get(addressName(target.address, target.port));
      return new PlayedPool(this.clock, config.connectTimeoutMs, () => this.#nextOf(found));
    });
    this.#context = playedContext({ clock: this.clock, random, wheel }, () => (this.#isOver = true));
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
    this.#asked = [];
    this.#copies = [];
    this.#tries = 0;
    this.#isOver = false;
    const client = new PlayedClient();
    const peer = { direction: 'outbound', address: '127.0.0.1:1', identity: '', clientCert: '' } as const;
    const forwarding = new Forwarding(this.#context, client, peer, asked.head);
    const { exchange } = forwarding;
    this.#exchange = exchange;
    forwarding.begin(table, this.#clusters);
    if (body.length > 0) {
      forwarding.onRequestData(body, 0, body.length);
      forwarding.onRequestEnd(null);
    }
    const endMs = exchange.startMs + PATIENCE_MS;
    while (!this.#isOver && this.clock.step(endMs - this.clock.now())) continue;
    if (!this.#isOver) {
      forwarding.onDownstreamReset('the test is at its end');
      return 'is never over: an answer says silence or comes after a day, and no timeout ends it';
    }
    const tookMs = this.clock.now() - exchange.startMs;
    return { exchange, client, asked: this.#asked, copies: this.#copies, tookMs };
  }

  /** `reviews-v1/0`: how a test calls an endpoint. */
  nameOf(config: EndpointConfig): string {
    return this.#names.get(config) ?? config.address;
  }

  /** An endpoint is asked: by a try, or by a copy whose answer nobody reads. */
  #nextOf(endpoint: TestEndpoint | undefined): Scripted {
    const attempts = this.#exchange?.attempts ?? 0;
    const isTry = attempts > this.#tries;
    this.#tries = attempts;
    const answers = isTry ? this.#answers : null;
    const onAsked = (asked: Asked): void => {
      if (isTry) this.#asked.push(asked);
      else this.#copies.push(serviceOf(endpoint?.name ?? ''));
    };
    return { answer: nth(answers ?? [], attempts - 1) ?? this.#ownAnswer(endpoint) ?? OK, onAsked };
  }

  #ownAnswer(endpoint: TestEndpoint | undefined): ScriptedAnswer | undefined {
    const answers = endpoint?.spec.answers ?? null;
    if (endpoint === undefined || answers === null) return undefined;
    const turn = this.#turns.get(endpoint) ?? 0;
    this.#turns.set(endpoint, turn + 1);
    return nth(answers, turn);
  }

  #tableOf(destination: string): RouteTable | string {
    const known = this.#tables.get(destination);
    if (known !== undefined) return known;
    const found = lookup(this.#mesh, destination, this.#client.namespace);
    if (found === null) return `no Service has the name and port ${destination}`;
    const name = fullName(found);
    const config = this.#load(TYPE.route, name, decodeRoute);
    if (config === null) return `${name} carries no requests`;
    for (const cluster of clustersOf(config)) this.#openCluster(cluster);
    const table = linkRouteTable(config);
    this.#tables.set(destination, table);
    return table;
  }

  #openCluster(name: string): void {
    const config = this.#clusters.has(name) ? null : this.#load(TYPE.cluster, name, decodeCluster);
    if (config === null) return;
    const { healthCheck: _unplayed, ...played } = config;
    const cluster = new Cluster({ ...played, discovery: 'eds', endpoints: null }, this.#env);
    const known = this.#endpointsOf(config);
    const endpoints = this.#load(TYPE.endpoints, name, decodeEndpoints)?.endpoints ?? [...known].map(outsideConfig);
    cluster.setEndpoints({ cluster: name, endpoints });
    for (const endpoint of cluster.endpoints) {
      const { address, port } = endpoint.config;
      const found = known.get(addressName(address, port));
      if (found !== undefined) this.#names.set(endpoint.config, found.name);
      if (found?.spec.ejected === true) endpoint.available = false;
    }
    this.#clusters.set(name, cluster);
  }

  #endpointsOf({ name, service }: ClusterConfig): ReadonlyMap<string, TestEndpoint> {
    // A host outside has its own, whatever ExternalService it is of.
    const key = service === null ? '' : portKey(service.namespace, service.name, service.port);
    const known = this.#endpoints.get(name) ?? this.#endpoints.get(key);
    if (known !== undefined) return known;
    const colon = name.lastIndexOf(':');
    return outside(name.slice(0, colon), Number(name.slice(colon + 1)));
  }
}

/** `reviews-v1` of `reviews-v1/0`. */
export function serviceOf(endpoint: string): string {
  return endpoint.slice(0, endpoint.lastIndexOf('/'));
}

/** The last one goes on. */
function nth<T>(list: readonly T[], index: number): T | undefined {
  return list[Math.min(index, list.length - 1)];
}

function outsideConfig([at, { spec }]: readonly [string, TestEndpoint]): EndpointConfig {
  const colon = at.lastIndexOf(':');
  return {
    address: at.slice(0, colon),
    port: Number(at.slice(colon + 1)),
    healthy: spec.ready,
    weight: 1,
    zone: spec.zone,
    mtls: false,
    identity: '',
    workload: null,
  };
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
