/**
 * Where opaque connections go: to endpoints of a cluster, chosen for each connection, or to one address.
 * Knows clusters and what a filter chain says of them; how bytes move is upstream.ts's business.
 */
import type { Random } from '#base/random.ts';
import type { TcpNetworkConfig } from '../../config/snapshot.ts';
import type { FailureKind } from '../../exchange/failure.ts';
import type { Target } from '../../net/connect.ts';
import type { Cluster, Endpoint } from '../cluster.ts';
import { TcpUpstream, type TcpEnv, type TcpTarget, type TcpUpstreamEvents, type Try } from './upstream.ts';

const ignore = (): void => undefined;

/** The cluster for the next connection, by weight. */
export function chooseCluster({ clusters }: TcpNetworkConfig, random: Random): string {
  const [first] = clusters;
  if (clusters.length === 1 || first === undefined) return first?.cluster ?? '';
  const total = clusters.reduce((sum, { weight }) => sum + weight, 0);
  let at = random() * total;
  for (const { cluster, weight } of clusters) {
    if (at < weight) return cluster;
    at -= weight;
  }
  return first.cluster;
}

/**
 * Connects to endpoints of `cluster`, another one when one cannot be reached; within the cluster's limit of connections.
 * @param network says how often and for how long
 */
export function connectTcp(
  cluster: Cluster,
  network: Pick<TcpNetworkConfig, 'connectAttempts' | 'idleTimeoutMs'>,
  env: TcpEnv,
  events: TcpUpstreamEvents | null,
): TcpUpstream {
  const tried: Endpoint[] = [];
  const nextTry = (): Try | FailureKind => {
    if (tried.length >= network.connectAttempts) return 'connect-failure';
    const endpoint = cluster.picker.pick(env.clock.now(), env.random, tried, null);
    if (endpoint === null) return 'no-healthy-endpoint';
    if (!cluster.openTcp()) return 'overflow';
    tried.push(endpoint);
    return tryOf(cluster, endpoint);
  };
  const wait = (onEndpoints: () => void): (() => void) | null => {
    const waiter = { onEndpoints };
    return cluster.wait(waiter) ? () => cluster.unwait(waiter) : null;
  };
  const target: TcpTarget = { name: cluster.config.name, idleTimeoutMs: network.idleTimeoutMs, nextTry, wait };
  return new TcpUpstream(target, env, events);
}

function tryOf(cluster: Cluster, endpoint: Endpoint): Try {
  const { poolMeters } = cluster;
  let isReached = false;
  endpoint.inFlight++;
  return {
    target: endpoint.target,
    timeoutMs: cluster.config.connectTimeoutMs,
    onReached: () => {
      isReached = true;
      poolMeters.connectionOpened();
    },
    onFailed: (kind) => poolMeters.connectFailed(kind),
    release: () => {
      endpoint.inFlight--;
      cluster.closeTcp();
      if (isReached) poolMeters.connectionClosed();
    },
  };
}

/**
 * Connects to one address, in plaintext.
 * @param name for counters and logs
 */
export function connectAddress(
  name: string,
  { address, port }: Pick<Target, 'address' | 'port'>,
  timeoutMs: number,
  idleTimeoutMs: number,
  env: TcpEnv,
  events: TcpUpstreamEvents | null,
): TcpUpstream {
  let isTried = false;
  const nextTry = (): Try | FailureKind => {
    if (isTried) return 'connect-failure';
    isTried = true;
    const { keepAliveMs } = env;
    const target: Target = { address, port, mtls: false, serverName: '', identities: [], keepAliveMs };
    return { target, timeoutMs, onReached: ignore, onFailed: ignore, release: ignore };
  };
  return new TcpUpstream({ name, idleTimeoutMs, nextTry, wait: () => null }, env, events);
}
