/** What forwarding and clusters need around them, in a sidecar that is played: no counters, no connections, no identity. */
import type { Clock } from '#base/clock.ts';
import type { Random } from '#base/random.ts';
import type { TimerWheel } from '#base/timer-wheel.ts';
import { localCounts } from '../../proxy/exchange/pod-counts.ts';
import type { EndpointMeters } from '../../proxy/exchange/upstream.ts';
import { RateLimits } from '../../proxy/filters/rate-limit.ts';
import { allocateRates } from '../../proxy/filters/rate-table.ts';
import type { ForwardContext } from '../../proxy/forwarding/context.ts';
import { GivenUp } from '../../proxy/forwarding/given-up.ts';
import { MeshTls } from '../../proxy/net/tls.ts';
import { PooledIds } from '../../proxy/telemetry/ids.ts';
import type { ClusterEnv } from '../../proxy/worker/cluster.ts';
import { prepareExchange } from '../../proxy/worker/observe.ts';

/** As in a real worker. */
const REPLAY_BYTES = 65_536;
const WAIT_MS = 3000;

const NOBODY: EndpointMeters = { request: () => undefined, retry: () => undefined, hedge: () => undefined };
const NO_POOL_METERS = {
  connectionOpened: () => undefined,
  connectionClosed: () => undefined,
  connectFailed: () => undefined,
  abused: () => undefined,
};
const NO_OUTLIER_METERS = { ejected: () => undefined, returned: () => undefined };

const ids = new PooledIds();

export function playedClusterEnv(
  time: Pick<ClusterEnv, 'clock' | 'random'>,
  trustDomain: string,
  playedPool: NonNullable<ClusterEnv['playedPool']>,
): ClusterEnv {
  return {
    ...time,
    tls: new MeshTls(trustDomain),
    keepAliveMs: 0,
    appAddress: null,
    clientOptions: () => {
      throw new Error('no connection is opened here');
    },
    endpointMeters: () => NOBODY,
    poolMeters: () => NO_POOL_METERS,
    outlierMeters: () => NO_OUTLIER_METERS,
    health: { asks: false, events: () => ({}) as never, tell: () => undefined },
    podCounts: localCounts,
    playedPool,
  };
}

/** @param onOver an exchange is over */
export function playedContext(
  time: { readonly clock: Clock; readonly random: Random; readonly wheel: TimerWheel },
  onOver: () => void,
): ForwardContext {
  return {
    ...time,
    direction: 'outbound',
    replayBytes: REPLAY_BYTES,
    maxBodyBytes: 0,
    endpointWaitMs: WAIT_MS,
    givenUp: new GivenUp(),
    rates: new RateLimits(allocateRates),
    mirrored: () => undefined,
    fellBack: () => undefined,
    tunnels: { add: () => undefined },
    prepare: (exchange) => prepareExchange(exchange, { ids }),
    record: onOver,
  };
}
