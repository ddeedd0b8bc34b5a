/**
 * What a scenario and a contender are. Scenarios are data, and a new one needs no new code as long as its contenders know its shape.
 */

/**
 * What the client speaks. `bytes` are opaque and counted in MiB that the application sends; `connections` are opaque too, short, and each
 * is one with its handshakes.
 */
export type Protocol = 'http1' | 'http2' | 'grpc' | 'bytes' | 'connections';

export interface Scenario {
  readonly name: string;
  readonly title: string;
  readonly protocol: Protocol;
  /** 1: client, proxy, application. 2: client, proxy, mutual TLS, proxy, application. */
  readonly hops: 1 | 2;
  /** Of the client. */
  readonly connections: number;
  /** Requests at a time on each connection. */
  readonly streams: number;
  /** Requests a second in all; 0: as fast as it goes. */
  readonly rate: number;
  readonly contenders: readonly ContenderName[];
  readonly budgets: readonly Budget[];
  /** Resident megabytes of our largest sidecar at the end of a round; absent: no bound. */
  readonly atMostMb?: number;
}

/** Ours is at most so many times the peer's. */
export interface Budget {
  readonly peer: ContenderName;
  readonly of: 'cpu' | 'p50' | 'p99';
  readonly atMost: number;
}

/** `before` is Tulle as another folder of bundles has it. */
export type ContenderName = 'tulle' | 'before' | 'nginx' | 'haproxy' | 'nghttpx' | 'envoy';

/** Where load goes in. */
export interface Target {
  readonly address: string;
  readonly port: number;
  /** Value of the `Host` header. */
  readonly host: string;
}

/** What came of a load. */
export interface LoadResult {
  readonly requests: number;
  /** Answers other than 2xx and 3xx, and socket errors. */
  readonly failures: number;
  readonly seconds: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** A path of one or two proxies that is up. */
export interface RunningPath {
  readonly target: Target;
  /** The proxies, in the order a request meets them. Their CPU is counted, nobody else's. */
  readonly pids: readonly number[];
  stop(): Promise<void>;
}

/** What a contender gets. */
export interface Place {
  /** Empty folder of its own for configuration. */
  readonly folder: string;
  /** The application, which speaks the scenario's protocol. */
  readonly application: { readonly address: string; readonly port: number };
  readonly certificates: Certificates;
}

/** PEM files of one authority and one leaf for localhost, which all peers use on both sides. */
export interface Certificates {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
  /** Certificate and key in one file, as HAProxy wants it. */
  readonly both: string;
}

/** How the HTTP version is spoken to the next hop. */
export function speaksHttp2({ protocol }: Pick<Scenario, 'protocol'>): boolean {
  return protocol === 'http2' || protocol === 'grpc';
}

export function isOpaque({ protocol }: Pick<Scenario, 'protocol'>): boolean {
  return protocol === 'bytes' || protocol === 'connections';
}
