/**
 * What the inbound and the outbound stack share; made once by the worker.
 * Types only.
 */
import type { Clock } from '#base/clock.ts';
import type { Logger } from '#base/log.ts';
import type { ListenOptions } from '../net/listener.ts';
import type { MeshTls } from '../net/tls.ts';
import type { ClusterEnv } from './cluster.ts';
import type { Destinations } from './destinations.ts';
import type { HttpConnections } from './http-connections.ts';
import type { FromWorker, WorkerSettings } from './messages.ts';
import type { Meters } from './meters.ts';
import type { Runtime } from './runtime.ts';
import type { TcpTelemetry } from './tcp/connection.ts';
import type { TcpEnv } from './tcp/upstream.ts';

export interface StackParts {
  readonly settings: WorkerSettings;
  /** Of the connections that the pod may have, this worker's part: the kernel gives each worker as many. */
  readonly share: Pick<ListenOptions, 'maxConnections' | 'reusePort'>;
  readonly clock: Clock;
  readonly log: Logger;
  readonly meters: Meters;
  readonly tls: MeshTls;
  readonly runtime: Runtime;
  readonly destinations: Destinations;
  readonly clusterEnv: ClusterEnv;
  readonly http: HttpConnections;
  readonly tcp: TcpEnv;
  readonly tcpTelemetry: TcpTelemetry;
  /** Our own SPIFFE ID; empty before there is one. */
  readonly ownIdentity: () => string;
  readonly post: (message: FromWorker) => void;
}
