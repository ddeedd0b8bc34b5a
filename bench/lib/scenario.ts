/**
 * What a scenario and a contender are. Types only: scenarios are data, and a new one needs no new code as long as its contenders know its shape.
 */

export interface Scenario {
  readonly name: string;
  readonly title: string;
  /** 1: client, proxy, application. 2: client, proxy, mutual TLS, proxy, application. */
  readonly hops: 1 | 2;
  /** Client connections, each with one request at a time. */
  readonly connections: number;
  readonly contenders: readonly ContenderName[];
  /** CPU per request, at most this many times that of the peer. */
  readonly budgets: Readonly<Partial<Record<ContenderName, number>>>;
}

export type ContenderName = 'tulle' | 'nginx' | 'haproxy';

/** Where load goes in. */
export interface Target {
  readonly address: string;
  readonly port: number;
  /** Value of the `Host` header. */
  readonly host: string;
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
  /** The application, answering `GET /` with one byte. */
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
